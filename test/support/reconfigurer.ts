/**
 * A process that reconfigures `bank/main` of a running deployment by the product's own means, as a leader process
 * does, and kills itself at one step of it: what is wrapped here only counts, loses and kills.
 *
 *   node reconfigurer.ts REGISTRY DIR      begins when its parent sends it the step; says at which one it dies
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { machineCode } from "../../shared/machine.ts";
import type { Verb } from "../../shared/protocol/acceptor.ts";
import type { ProcessId } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { MACHINE_GEOMETRY } from "../../shared/protocol/slot.ts";
import { deploymentFile, readDeployment } from "../../shared/runtime/deployment.ts";
import { Endorser } from "../../shared/runtime/fleet/endorser.ts";
import { newQuorums } from "../../shared/runtime/fleet/new-quorums.ts";
import { reconfigure } from "../../shared/runtime/fleet/reconfigure.ts";
import { Hosted } from "../../shared/runtime/hosted.ts";
import { PeerCalls } from "../../shared/runtime/peers/calls.ts";
import type { Ports } from "../../shared/runtime/ports.ts";
import { productionPorts } from "../../shared/runtime/ports-production.ts";
import { type RegistryClient, registryClient } from "../../shared/runtime/registry/registry-client.ts";
import { newSigner } from "../../shared/runtime/signing.ts";
import { StorePool } from "../../shared/runtime/store-pool.ts";
import { openStore } from "../../shared/storage/open.ts";
import { bank } from "../e2e/machines/journal.ts";
import { STEPS, type Step } from "./reconfigurers.ts";

const [url = "", dir = ""] = process.argv.slice(2);
const MACHINE = "bank/main" as MachineId;
/** Before a command that was sent has been answered, mostly. */
const ON_ITS_WAY_MS_MAX = 4;
const AGAIN_MS = 20;

/** What one table has done when it is acknowledged. */
const STEP_OF: Partial<Record<Verb["verb"], Step>> = {
  create: "founding",
  put: "copying",
  advance: "raising",
  promise: "fencing",
  vote: "voting",
};

const registry = registryClient(url);
const stores = new StorePool(openStore);
const production = productionPorts((acceptor) => stores.get(acceptor));
const { id: deployment } = await readDeployment(deploymentFile(dir));
const self = {
  id: "reconfigurer",
  deployment,
  process: randomBytes(16).toString("hex") as ProcessId,
  address: "",
  pid: process.pid,
};
process.on("disconnect", () => process.exit(1));
const [step] = (await once(process, "message")) as [Step];
/** Requests of the step's verb. */
let sent = 0;
let promised = 0;
let tables = 0;

for (;;) {
  await attempt().catch(() => {});
  // Beaten, or without a spare table.
  await sleep(AGAIN_MS);
}

async function attempt(): Promise<void> {
  const from = await registry.lookup(MACHINE);
  const { configuration, acceptors } = from;
  const { quorums: present } = configuration;
  stores.learn(acceptors);
  [sent, promised, tables] = [0, 0, acceptors.length];
  const replaced = present.acceptors[configuration.number % tables] as string;
  const quorums = await newQuorums(MACHINE, present, { replace: replaced }, registry, stores);
  const hosted = new Hosted({
    machine: MACHINE,
    geometry: MACHINE_GEOMETRY,
    code: machineCode(bank),
    process: self.process,
    ports: fatalPorts(),
  });
  await hosted.catchUp(configuration);
  const { leaders } = await registry.servers();
  const peers = leaders
    .filter(({ state }) => state === "live")
    .map((peer) => ({ ...peer, deployment, pid: 0 }));
  const signer = newSigner();
  const leader = { ...self, publicKey: signer.publicKey };
  const endorser = new Endorser({
    self: leader,
    signer,
    registry,
    stores,
    health: { complaints: () => new Map() },
  });
  await reconfigure({
    hosted: {
      machine: MACHINE,
      async reconfigure(before: Configuration, after: Configuration) {
        at("endorsed");
        await hosted.reconfigure(before, after);
        at("transferred");
      },
    },
    from,
    quorums,
    cause: { reason: { operator: "a drill" } },
    gathering: { endorser, registry: fatalRegistry(), self, peers: () => peers, calls: new PeerCalls() },
    registry: fatalRegistry(),
    stores,
    ports: fatalPorts(),
  });
}

/** Not beyond its step, whatever there is to do at it. */
function at(reached: Step): void {
  if (STEPS.indexOf(reached) < STEPS.indexOf(step)) return;
  writeSync(1, reached);
  process.kill(process.pid, "SIGKILL");
}

function fatalPorts(): Ports {
  return {
    ...production,
    ask(acceptor, machine, verbs, done) {
      const [first] = verbs;
      const reached = first && STEP_OF[first.verb];
      // At that step one table hears of it, and no other.
      if (reached === step && sent++ > 0) return;
      production.ask(acceptor, machine, verbs, (outcomes) => {
        if (reached !== undefined) at(reached);
        if (reached === "fencing" && ++promised === tables) at("fenced");
        // A read quorum's promises would be enough to go on.
        if (reached !== "fencing" || step !== "fenced") done(outcomes);
      });
    },
  };
}

function fatalRegistry(): RegistryClient {
  return {
    ...registry,
    async command(command) {
      if (command.type === "complete" && step === "completing")
        setTimeout(() => at("completing"), Math.random() * ON_ITS_WAY_MS_MAX);
      const answer = await registry.command(command);
      if (command.type === "propose") at("proposed");
      if (command.type === "complete") at("completed");
      return answer;
    },
    proposal(machine, configuration) {
      at("founded");
      return registry.proposal(machine, configuration);
    },
  };
}
