/**
 * The gateway: one address for clients outside. It keeps no state, so any number of them may run.
 *
 *   gateway --port 7707 [--host 0.0.0.0] [--registry URL] [--leaders URL,URL]
 */
import { parseArgs } from "node:util";
import { pino } from "pino";
import { Forwarder } from "../shared/runtime/forward.ts";
import { LeaderDirectory } from "../shared/runtime/leader-directory.ts";
import { serve } from "../shared/runtime/serve.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    host: { type: "string", default: "127.0.0.1" },
    registry: { type: "string" },
    leaders: { type: "string", default: "" },
  },
});

const log = pino({ base: { part: "gateway" } });
const report = (error: unknown) => log.error({ event: "error", err: error });

const given = values.leaders.split(",").filter((address) => address !== "");
const directory = new LeaderDirectory(given, values.registry);
const forwarder = new Forwarder(directory, report);
await directory.renew();

try {
  const served = await serve(forwarder.app, { port: Number(values.port), host: values.host, report });
  log.info({ event: "ready", url: served.url });
  const stop = async (signal: string) => {
    log.info({ event: "stopping", signal });
    await served.close();
    forwarder.close();
    directory.close();
    log.info({ event: "stopped" });
  };
  process.once("SIGTERM", stop).once("SIGINT", stop);
} catch (error) {
  log.fatal({ event: "failed", err: error });
  process.exitCode = 1;
}
