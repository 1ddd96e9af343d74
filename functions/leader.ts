/** A leader process on this machine. */
import { parseArgs } from "node:util";
import { startLeader } from "../shared/runtime/leader.ts";
import { runPart } from "../shared/runtime/part.ts";
import { registryClient } from "../shared/runtime/registry/registry-client.ts";
import { SNAPSHOT_SLOTS } from "../shared/runtime/snapshots/pace.ts";
import { openStore } from "../shared/storage/open.ts";

await runPart("leader", async (log) => {
  const { file, id, registry, peers, port, deployment, snapshotSlots } = readFlags();
  return startLeader({
    log,
    machines: file,
    deployment,
    registry: registryClient(registry),
    open: openStore,
    reached: { port },
    identify: async () => ({ id }),
    peers,
    snapshotSlots,
  });
});

function readFlags() {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      ...{ file: text, id: text, registry: text, peers: text, port: text },
      ...{ "deployment-id": text, "snapshot-slots": text },
    },
  });
  const { file, id, registry, peers = "", port = "0", "deployment-id": deployment } = values;
  if (file === undefined || id === undefined || registry === undefined || deployment === undefined)
    throw new Error("a leader needs --file FILE --id ID --registry URL --deployment-id ID");
  return {
    file,
    id,
    registry,
    deployment,
    port: Number(port),
    snapshotSlots: Number(values["snapshot-slots"] ?? SNAPSHOT_SLOTS),
    peers: peers.split(",").filter((address) => address !== ""),
  };
}
