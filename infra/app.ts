/**
 * The bank, deployed: `npx cdk deploy`, given credentials. `--context name=` and `entry=` are for another program,
 * `sandbox=true` for a deployment that `cdk destroy` takes away with all that it knows, and `emulator=URL` for one on
 * this machine.
 */
import { App, Fn, Stack } from "aws-cdk-lib";
import { assertOneAws } from "./deployment.ts";
import { Theseus } from "./index.ts";

const app = new App();
assertOneAws(app, process.env);
const context = (key: string, otherwise: string) => String(app.node.tryGetContext(key) ?? otherwise);
const [name, entry] = [context("name", "bank"), context("entry", "examples/bank.ts")];

/** Which zones there are is asked when it is deployed, and not before: that would take credentials, and a file to keep it in. */
class DeploymentStack extends Stack {
  override get availabilityZones(): string[] {
    return [0, 1].map((index) => Fn.select(index, Fn.getAzs()));
  }
}

const { CDK_DEFAULT_ACCOUNT: account, CDK_DEFAULT_REGION: region } = process.env;
const stack = new DeploymentStack(app, `theseus-${name}`, {
  description: `Theseus: ${name}`,
  env: { ...(account && { account }), ...(region && { region }) },
});
export const theseus = new Theseus(stack, "Theseus", {
  name,
  entry,
  sandbox: context("sandbox", "false") === "true",
});
