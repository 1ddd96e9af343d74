/**
 * The reconfigurer, the next one and the one after it are killed at each step between Propose and Activated, under
 * load: the machine serves again by itself, nothing is lost, nothing is executed twice, and no table of the
 * configuration that is still the machine's has been given up.
 */
import { expect, onTestFinished, test } from "vitest";
import type { MachineId } from "../../shared/protocol/configuration.ts";
import { type RegistryClient, registryClient } from "../../shared/runtime/registry/registry-client.ts";
import { startDeployment, until } from "../support/deployment.ts";
import { faultsOf, JOURNALED_BANK, readJournal } from "../support/history.ts";
import { Load } from "../support/load.ts";
import { Reconfigurers, STEPS, type Step } from "../support/reconfigurers.ts";
import { hasTable } from "../support/store.ts";
import { temporaryFolder } from "../support/temporary.ts";

const MACHINE = "bank/main" as MachineId;
const CLIENTS = 2;
const KILLED = 3;
const PROGRESS = 50;
const MINUTES_MS = 300_000;

test(
  "three reconfigurers in a row are killed at each step: the machine serves, and no table is given up too early",
  async () => {
    const deployment = await startDeployment({ file: JOURNALED_BANK, dir: temporaryFolder(), spares: 2 });
    const clients = new Load(deployment.url, CLIENTS, temporaryFolder());
    const reconfigurers = new Reconfigurers(deployment);
    onTestFinished(async () => {
      reconfigurers.stop();
      await deployment.stop();
    });
    const registry = registryClient(deployment.addressOf("registry"));
    await progress(clients);
    for (const step of STEPS) {
      const deaths: Step[] = [];
      while (deaths.length < KILLED) {
        deaths.push(await reconfigurers.killOne(step));
        expect([step, await givenUp(registry)]).toEqual([step, []]);
      }
      expect(deaths).toContain(step);
      await progress(clients);
      expect([step, await givenUp(registry)]).toEqual([step, []]);
    }
    const operations = await clients.stop();
    expect(faultsOf(operations, await readJournal(deployment.url))).toEqual([]);
  },
  MINUTES_MS,
);

async function progress(clients: Load): Promise<void> {
  const before = clients.acknowledged();
  await until(() => clients.acknowledged() >= before + PROGRESS);
}

/** Tables of the active configuration that are being deleted, or are gone. */
async function givenUp(registry: RegistryClient): Promise<readonly string[]> {
  const { configuration, acceptors } = await registry.lookup(MACHINE);
  const { acceptors: records } = await registry.servers();
  const retired = new Set(records.filter(({ state }) => state === "retired").map(({ id }) => id));
  const areThere = await Promise.all(acceptors.map(({ location }) => hasTable(location)));
  const lost = acceptors.filter(({ id }, index) => retired.has(id) || !areThere[index]);
  const { configuration: now } = await registry.lookup(MACHINE);
  // Of one that was replaced meanwhile they may be.
  return now.number === configuration.number ? lost.map(({ id }) => id) : [];
}
