/**
 * What is known of a deployment before anything of it exists: its name, from which every other name follows, its
 * Regions, and which AWS it is for. Names are explicit, so that a policy can name what the stack does not own (tables
 * are made at run time), and so that one Region's stack can name what another's has without a reference to it.
 */
import { createHash } from "node:crypto";
import { Aws, Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";

/** Anything may be lost and made again, but a table: tables are never in a template. */
export interface Deployment {
  readonly name: string;
  /** Where tables are made, and where there is a directory. */
  readonly regions: readonly string[];
  /** Whether all that it knows may be thrown away. */
  readonly sandbox: boolean;
  /** The address of an emulator on this machine; undefined: AWS. */
  readonly emulator: string | undefined;
}

const NAME = /^[a-z][a-z0-9-]{0,30}$/;

/** The context of `cdk deploy --context emulator=http://127.0.0.1:4566`. */
export const EMULATOR_CONTEXT = "emulator";

/** @throws RangeError when a name or a Region is none, or the emulator is not on this machine. */
export function deploymentOf(
  scope: Construct,
  { name, regions, sandbox }: { name: string; regions: readonly string[] | undefined; sandbox: boolean },
): Deployment {
  if (!NAME.test(name))
    throw new RangeError(
      `a deployment's name is a letter and up to 30 more of a-z, 0-9 and "-", not ${JSON.stringify(name)}`,
    );
  const all = regions ?? [Stack.of(scope).region];
  if (all.length === 0) throw new RangeError("a deployment has at least one Region for its tables");
  const twice = all.find((region, index) => all.indexOf(region) !== index);
  if (twice !== undefined) throw new RangeError(`the Region ${twice} is named twice`);
  return { name, regions: all, sandbox, emulator: emulatorOf(scope) };
}

/** A template for an emulator holds the emulator's address: deployed to AWS, its parts would find nothing there. */
function emulatorOf(scope: Construct): string | undefined {
  const emulator: unknown = scope.node.tryGetContext(EMULATOR_CONTEXT);
  if (emulator === undefined || emulator === "") return undefined;
  const url = URL.parse(String(emulator));
  const isHere = url !== null && ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (!isHere || !["http:", "https:"].includes(url.protocol))
    throw new RangeError(
      `the context "${EMULATOR_CONTEXT}" is the address of an emulator on this machine, not ${emulator}`,
    );
  return String(emulator);
}

/**
 * The context says what is in the template, and the environment where the CDK sends it: one alone would put parts that
 * look for an emulator into an account, or parts that look for AWS into an emulator. @throws RangeError in a sentence.
 */
export function assertOneAws(scope: Construct, environment: NodeJS.ProcessEnv): void {
  const emulator = emulatorOf(scope);
  const endpoint = environment.AWS_ENDPOINT_URL || undefined;
  if (emulator !== undefined && endpoint === undefined)
    throw new RangeError(
      `this is for the emulator at ${emulator} (--context emulator), but would go to AWS: set AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3 to it as well`,
    );
  if (emulator === undefined && endpoint !== undefined)
    throw new RangeError(
      `AWS_ENDPOINT_URL is ${endpoint}, but this is for AWS: unset it, or say --context emulator=${endpoint}`,
    );
}

/** Names, each of which says whose it is. */
export const nameOf = {
  directory: ({ name }: Deployment) => `theseus-${name}-directory`,
  /** Of all acceptors, the registry's own too. */
  acceptors: ({ name }: Deployment) => `theseus-${name}-p-*`,
  queue: ({ name }: Deployment) => `theseus-${name}-provisioning`,
  deadLetters: ({ name }: Deployment) => `theseus-${name}-dead-letters`,
  cluster: ({ name }: Deployment) => `theseus-${name}`,
  service: ({ name }: Deployment) => `theseus-${name}-leaders`,
  family: ({ name }: Deployment) => `theseus-${name}-leader`,
  function: ({ name }: Deployment, job: string) => `theseus-${name}-${job}`,
  /** An account's roles are those of all Regions; `region` may be a token. */
  role: ({ name }: Deployment, job: string, region: string) =>
    `${shortened(`theseus-${name}-${job}`, ROLE_NAME_MAX - REGION_NAME_MAX - 1)}-${region}`,
  /** Of CloudWatch. */
  metrics: ({ name }: Deployment) => `Theseus/${name}`,
};

/** IAM's own limit, in characters. */
const ROLE_NAME_MAX = 64;
/** The longest are of 14; room is left for one, since a stack may learn its Region only when it is deployed. */
const REGION_NAME_MAX = 16;
const DIGEST_CHARACTERS = 8;

/** Others stay others. */
function shortened(name: string, charactersMax: number): string {
  if (name.length <= charactersMax) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, DIGEST_CHARACTERS);
  return `${name.slice(0, charactersMax - DIGEST_CHARACTERS - 1)}-${digest}`;
}

/** In each of its Regions. */
export function arnsOf(deployment: Deployment, service: string, resource: string): string[] {
  return deployment.regions.map(
    (region) => `arn:${Aws.PARTITION}:${service}:${region}:${Aws.ACCOUNT_ID}:${resource}`,
  );
}

/** In this stack's Region. */
export function arnHere(service: string, resource: string): string {
  return `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${resource}`;
}

/** What every part is told. */
export function environmentOf(deployment: Deployment): Record<string, string> {
  const table = nameOf.directory(deployment);
  return {
    THESEUS_DEPLOYMENT: deployment.name,
    THESEUS_DIRECTORY: deployment.regions.map((region) => `${region}/${table}`).join(","),
    ...(deployment.emulator === undefined
      ? { THESEUS_AWS: "real" }
      : { AWS_ENDPOINT_URL: deployment.emulator }),
  };
}

/** Whoever makes tables. */
export function tablesEnvironment({ regions, sandbox }: Deployment): Record<string, string> {
  return { THESEUS_REGIONS: regions.join(","), THESEUS_PROTECTED: String(!sandbox) };
}
