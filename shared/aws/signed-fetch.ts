/**
 * Requests to a function's URL that takes only signed ones (`AWS_IAM`): what `fetch` is to any other server. To real
 * AWS they are signed with the credentials of this process; an emulator on this machine is told by the Host header
 * which function is meant, and gets credentials that are nobody's (clients.ts).
 */
import * as http from "node:http";
import * as https from "node:https";
import { Sha256 } from "@aws-crypto/sha256-js";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { SignatureV4 } from "@smithy/signature-v4";
import { Forbidden } from "../errors.ts";
import { awsPlace, placeSettings } from "./clients.ts";

/** The part of the global `fetch` that is used here. */
export type Fetch = (url: URL, init?: FetchInit) => Promise<Response>;
export interface FetchInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

const FUNCTION_URL = /^[^.]+\.lambda-url\.([a-z0-9-]+)\.on\.aws$/;
/** Of the application's own answers; AWS's are plain JSON. */
const PROBLEM = /^application\/problem\+json\b/;
/** They must have no body. */
const EMPTY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304]);

const agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) };

/**
 * Rejects as `fetch` does. @throws RangeError for what is no function's URL; Forbidden when AWS does not let this
 * process call it.
 */
export function signedFetch(environment = process.env): Fetch {
  const { endpoint, credentials = defaultProvider() } = placeSettings(awsPlace("LAMBDA", environment));
  return async (url, { method = "GET", headers = {}, body, signal } = {}) => {
    const region = FUNCTION_URL.exec(url.hostname)?.[1];
    if (region === undefined) throw new RangeError(`${url.origin} is no function's URL`);
    const signer = new SignatureV4({ service: "lambda", region, credentials, sha256: Sha256 });
    const signed = await signer.sign({
      method,
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { ...headers, host: url.host },
      body,
    });
    const to = new URL(`${url.pathname}${url.search}`, endpoint ?? url);
    const answer = await exchange(to, { method, headers: signed.headers, body, signal });
    if (answer.status === 403 && !PROBLEM.test(answer.headers.get("content-type") ?? ""))
      throw notAllowed(url);
    return answer;
  };
}

interface Signed {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly signal: AbortSignal | undefined;
}

async function exchange(to: URL, { method, headers, body, signal }: Signed): Promise<Response> {
  const isSecure = to.protocol === "https:";
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
  const request = (isSecure ? https : http).request(to, {
    method,
    headers: { ...headers, ...length },
    agent: isSecure ? agents.https : agents.http,
    ...(signal === undefined ? {} : { signal }),
  });
  request.on("response", resolve).on("error", reject).end(body);
  const incoming = await promise;
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const { statusCode: status = 0 } = incoming;
  const answered = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)] as const);
  const content = EMPTY_STATUSES.has(status) ? null : Buffer.concat(chunks);
  return new Response(content, { status, headers: Object.fromEntries(answered) });
}

function notAllowed({ origin }: URL): Forbidden {
  return new Forbidden(
    "forbidden",
    `AWS does not let this process call ${origin}: its role needs lambda:InvokeFunctionUrl and lambda:InvokeFunction on the function`,
  );
}
