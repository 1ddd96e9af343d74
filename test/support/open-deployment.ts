/** A process that opens the deployment of a folder and then waits to be killed: open-deployment.ts DIR */
import { openDeployment } from "../../cli/dev/bootstrap.ts";
import { STORE } from "./store.ts";

await openDeployment(process.argv[2] as string, { store: STORE });
setInterval(() => {}, 1_000);
