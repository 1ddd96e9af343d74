/**
 * The one factory of AWS clients. An emulator on this machine is meant unless real AWS is asked for by name: a test
 * or a laptop that is set up wrongly must fail, and not create tables in somebody's account. The JavaScript SDK
 * itself goes to real AWS whenever nothing tells it otherwise.
 *
 * A client does not repeat requests. The core repeats what is unknown, with its own back-off, and only it knows
 * whether anybody still wants the answer; a repetition below it would make one slow acceptor look slower.
 */
import { isIPv4 } from "node:net";

export type AwsPlace =
  /** An emulator: http(s) to a loopback address. */
  { readonly endpoint: string } | { readonly aws: "real" };

/** What each client's constructor is given. */
export interface ClientSettings {
  readonly region: string;
  readonly endpoint?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly maxAttempts: 1;
  /** Whatever AWS_RETRY_MODE says: "adaptive" holds back requests by itself. */
  readonly retryMode: "standard";
  readonly requestHandler: {
    readonly connectionTimeout: number;
    readonly requestTimeout: number;
    readonly throwOnRequestTimeout: true;
    readonly socketTimeout: number;
    readonly httpAgent: AgentSettings;
    readonly httpsAgent: AgentSettings;
    readonly logger: typeof SILENT;
  };
}
interface AgentSettings {
  readonly keepAlive: true;
  readonly maxSockets: number;
}

const CONNECT_MS_MAX = 1_000;
/** DynamoDB answers in 5 to 15 ms; a slower answer comes from a connection that is dead without knowing it. */
const REQUEST_MS_MAX = 3_000;
/**
 * A leader change asks all lanes of a table at once (K + 1 = 33), and later no more than the slots in flight and
 * their archive: three times those, and the lanes in one go.
 */
const SOCKETS_MAX = 48;
/** Any will do for an emulator, but some keep one account, or one database, for each key. */
const EMULATOR_CREDENTIALS = { accessKeyId: "test", secretAccessKey: "test" };
/** The SDK would warn of its sockets on the console. */
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** `Client` is the SDK's class. @throws RangeError for an endpoint that is not on this machine. */
export function awsClient<Client>(
  Client: new (settings: ClientSettings) => Client,
  region: string,
  place: AwsPlace,
): Client {
  const agent = { keepAlive: true, maxSockets: SOCKETS_MAX } as const;
  return new Client({
    region,
    ...placeSettings(place),
    maxAttempts: 1,
    retryMode: "standard",
    requestHandler: {
      connectionTimeout: CONNECT_MS_MAX,
      requestTimeout: REQUEST_MS_MAX,
      throwOnRequestTimeout: true,
      socketTimeout: REQUEST_MS_MAX,
      httpAgent: agent,
      httpsAgent: agent,
      logger: SILENT,
    },
  });
}

/** As the names of environment variables have it. */
type Service = "CLOUDFORMATION" | "DYNAMODB" | "ECS" | "LAMBDA" | "SQS";

/**
 * Where AWS is for this process: `AWS_ENDPOINT_URL_<service>` or `AWS_ENDPOINT_URL`, as the SDK and the aws command
 * read them, or `THESEUS_AWS=real`. @throws RangeError when that says nothing, or both.
 */
export function awsPlace(service: Service, environment = process.env): AwsPlace {
  const endpoint = environment[`AWS_ENDPOINT_URL_${service}`] || environment.AWS_ENDPOINT_URL;
  const isReal = environment.THESEUS_AWS === "real";
  if (isReal && endpoint)
    throw new RangeError(`AWS_ENDPOINT_URL is ${endpoint}, and THESEUS_AWS=real: unset one of them`);
  if (isReal) return { aws: "real" };
  if (endpoint) return { endpoint };
  throw new RangeError(
    "nothing says where AWS is: set AWS_ENDPOINT_URL to an emulator on this machine, or THESEUS_AWS=real",
  );
}

/** Real credentials never go to an emulator. @throws RangeError for an endpoint that is not on this machine. */
export function placeSettings(place: AwsPlace): Pick<ClientSettings, "endpoint" | "credentials"> {
  if ("aws" in place && place.aws === "real" && !("endpoint" in place)) return {};
  const { endpoint = "" } = place as { readonly endpoint?: string };
  if (!isLoopback(endpoint))
    throw new RangeError(
      `the AWS endpoint ${endpoint || "is missing"}: only an emulator on this machine may be used, unless real AWS is asked for by name`,
    );
  return { endpoint, credentials: EMULATOR_CREDENTIALS };
}

function isLoopback(endpoint: string): boolean {
  const url = URL.parse(endpoint);
  if (url === null || !["http:", "https:"].includes(url.protocol)) return false;
  const { hostname } = url;
  return (
    hostname === "localhost" || hostname === "[::1]" || (isIPv4(hostname) && hostname.startsWith("127."))
  );
}
