/**
 * The registry behind a Lambda's URL. An invocation that is frozen anywhere and thawed hours later is a leader that was
 * delayed, which harms nobody (PROTOCOL §9). Nothing is left for later: what a command has to be followed by (a message
 * for the provisioner, the hint for whoever looks for leaders) is done before it is answered, and what time has to bring
 * is asked for (`POST /v1/registry/maintain`).
 */
import { Hono } from "hono";
import { handle } from "hono/aws-lambda";
import type { LeaderServer } from "../../shared/protocol/registry.ts";
import { AWS_DRAIN_MS } from "../../shared/provision/aws.ts";
import type { Directory } from "../../shared/runtime/directory.ts";
import { problemFor, problemResponse } from "../../shared/runtime/http/problem.ts";
import { OutboxRelay } from "../../shared/runtime/provisioner/outbox-relay.ts";
import { callerByRole, jobsByRole } from "../../shared/runtime/registry/caller.ts";
import { Maintenance } from "../../shared/runtime/registry/maintenance.ts";
import { registryParts } from "../../shared/runtime/registry/registry-parts.ts";
import type { RegistryService } from "../../shared/runtime/registry/registry-service.ts";
import { SNAPSHOT_SLOTS } from "../../shared/runtime/snapshots/pace.ts";
import { reportSnapshots } from "../../shared/runtime/snapshots/report.ts";
import { minter } from "../../shared/runtime/tokens/signers.ts";
import { tokenRoute } from "../../shared/runtime/tokens/tokens-http.ts";
import { openDynamodb } from "../../shared/storage/open-dynamodb.ts";
import { openDirectory } from "./environment.ts";
import { functionLog, once } from "./log.ts";
import { openQueue } from "./provisioning.ts";

const log = functionLog("registry");
const report = (err: unknown) => log.error({ event: "error", err });

const registry = once(async () => {
  const directory = openDirectory();
  const { first, deployment } = await directory.registry();
  const privateKey = await directory.privateKey("registry");
  const relay = new OutboxRelay({
    queue: openQueue(),
    drainMs: AWS_DRAIN_MS,
  });
  const hint = leadersHint(directory);
  const { service, ports, repairer, serve } = registryParts({
    first,
    open: openDynamodb,
    pointer: () => directory.registry(),
    movePointer: (to) => directory.move(to),
    // Best effort: the sweeper sends what is not sent, and a later command tells what is not told.
    executed: async (of) => {
      await Promise.all([relay.relay(of.state.outbox).catch(report), hint(of).catch(report)]);
    },
    log,
  });
  const events = reportSnapshots(log);
  const maintenance = new Maintenance({ service, ports, repairer, slots: SNAPSHOT_SLOTS, events });
  // Whom IAM lets in, where a stack says no more than that.
  const roles = process.env.THESEUS_ROLES;
  const callerOf = roles ? callerByRole(jobsByRole(roles)) : undefined;
  const app = serve({ maintain: () => maintenance.pass(), callerOf });
  tokenRoute(app, minter({ by: "registry", privateKey, deployment, now: Date.now }));
  return app;
});

const app = new Hono();
app.onError((error) => problemResponse(problemFor(error, report)));
app.all("*", async (c) => (await registry()).fetch(c.req.raw, c.env as object));
export const handler = handle(app);

/** Tells the directory the live leaders when they are others than this process told last. */
function leadersHint(directory: Directory): (service: RegistryService) => Promise<void> {
  let told = "";
  return async ({ state, hosted }) => {
    const live = [...state.leaders.values()].flatMap(({ state, ...leader }): LeaderServer[] =>
      state === "live" ? [leader] : [],
    );
    const written = JSON.stringify(live);
    if (written === told) return;
    await directory.tellLeaders(live, hosted.host.replica.applied);
    told = written;
  };
}
