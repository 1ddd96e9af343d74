/** What `npm run test:sandbox` was asked to deploy to. It costs money and deletes tables, so it has to be said in full. */
import type { Where } from "../../cli/aws/where.ts";

export type Asked =
  /** An account, by its number, which the caller's has to be. */
  | { readonly kind: "real"; readonly account: string; readonly where: Where }
  /** Shows that the script works: whatever an emulator cannot show is left out, by name. */
  | { readonly kind: "emulator" };

const HOW =
  "THESEUS_AWS=real THESEUS_SANDBOX_ACCOUNT=<12 digits> AWS_REGION=<region> npm run test:sandbox; or THESEUS_SANDBOX=emulator";

/** @throws Error in a sentence, unless the environment says all of it. */
export function askedBy(environment: NodeJS.ProcessEnv): Asked {
  const { THESEUS_SANDBOX: sandbox, THESEUS_SANDBOX_ACCOUNT: account = "" } = environment;
  if (sandbox === "emulator") return { kind: "emulator" };
  if (environment.THESEUS_AWS !== "real")
    throw new Error(`this deploys to a real account, and THESEUS_AWS=real does not say so: ${HOW}`);
  const endpoint = Object.keys(environment).find(
    (name) => name.startsWith("AWS_ENDPOINT_URL") && environment[name] !== "",
  );
  if (endpoint !== undefined)
    throw new Error(
      `${endpoint} is set, and this deploys to a real account: unset it, or say THESEUS_SANDBOX=emulator`,
    );
  if (!/^\d{12}$/.test(account))
    throw new Error(
      `THESEUS_SANDBOX_ACCOUNT is the 12 digits of an account where everything may be lost, not ${JSON.stringify(account)}: ${HOW}`,
    );
  const region = environment.AWS_REGION || environment.AWS_DEFAULT_REGION;
  if (!region) throw new Error("nothing says which Region: set AWS_REGION");
  return { kind: "real", account, where: { place: { aws: "real" }, region } };
}

/** `toolkit`: the id of the stack that `cdk bootstrap` made for the caller. @throws Error in a sentence. */
export function assertAccount(
  account: string,
  { region }: Pick<Where, "region">,
  toolkit: string | undefined,
): void {
  if (toolkit === undefined)
    throw new Error(
      `these credentials find no stack CDKToolkit in ${region}: check the account, and run npx cdk bootstrap there`,
    );
  const [, , , , callers] = toolkit.split(":");
  if (callers !== account)
    throw new Error(`these credentials are for the account ${callers}, not ${account}: nothing was done`);
}
