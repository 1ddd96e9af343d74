/**
 * The gateway: one address with the very same HTTP interface, which forwards to whoever leads the machine. It
 * learns the leaders from the registry while that answers, and keeps the last list while it does not.
 */
import { parseArgs } from "node:util";
import { Forwarder } from "../shared/runtime/gateway/forward.ts";
import { LeaderDirectory } from "../shared/runtime/gateway/leader-directory.ts";
import { ofDeployment } from "../shared/runtime/http/deployment-guard.ts";
import { serve } from "../shared/runtime/http/serve.ts";
import { runPart } from "../shared/runtime/part.ts";

await runPart("gateway", async (log) => {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { port: text, registry: text, leaders: text, "deployment-id": text },
  });
  const { port = "0", registry, leaders = "", "deployment-id": deployment } = values;
  const report = (err: unknown) => log.error({ event: "error", err });
  const directory = new LeaderDirectory(
    leaders.split(",").filter((address) => address !== ""),
    registry,
  );
  const forwarder = new Forwarder(directory, report, { deployment });
  await directory.renew();
  const served = await serve(
    deployment === undefined ? forwarder.app : ofDeployment(forwarder.app, deployment),
    { port: Number(port), report },
  );
  return {
    url: served.url,
    async close() {
      await served.close();
      forwarder.close();
      directory.close();
    },
  };
});
