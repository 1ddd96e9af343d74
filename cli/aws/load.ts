/** Whoever deploys nothing on AWS has no SDK, and does not wait for it either. */
import { Invalid } from "../../shared/errors.ts";

const PACKAGES = [
  ...["@aws-sdk/client-cloudformation", "@aws-sdk/client-dynamodb", "@aws-sdk/client-ecs"],
  ...["@aws-sdk/credential-provider-node", "@smithy/signature-v4", "@aws-crypto/sha256-js"],
];

/** @throws Invalid, saying what to install, when a package is not there. */
export async function loaded<Module>(load: Promise<Module>): Promise<Module> {
  try {
    return await load;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    const { message } = cause as Error;
    throw new Invalid("invalid_request", `${message}: npm install ${PACKAGES.join(" ")}`, { cause });
  }
}
