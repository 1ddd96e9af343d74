/**
 * A deployment's registry, founded once: its first tables are made as all others are, its configuration 1 is founded on
 * them, and then the directory names it. Until that it is nobody's: a bootstrap that dies half-way leaves tables that are
 * on no record, which their tags tell, and the next one begins anew; of two at once the directory takes one, and the
 * other one removes its own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Invalid, Unavailable } from "../../errors.ts";
import type { ConfigurationNumber } from "../../protocol/ballot.ts";
import type { Configuration } from "../../protocol/configuration.ts";
import { majority } from "../../protocol/quorum.ts";
import type { AcceptorServer } from "../../protocol/registry.ts";
import { REGISTRY_GEOMETRY } from "../../protocol/slot.ts";
import type { Tables, TaggedTable } from "../../provision/tables.ts";
import type { AcceptorStore } from "../../storage/store.ts";
import type { Directory, RegistryPlace } from "../directory.ts";
import { found } from "../found.ts";
import { productionPorts } from "../ports-production.ts";
import { StorePool } from "../store-pool.ts";
import { REGISTRY } from "./registry-service.ts";

/** 2f + 1 with f = 1: the talk's three servers. */
const TABLES = 3;
const LOOK_AGAIN_MS = 1_000;
/** Tables are there within seconds; AWS promises nothing. */
const READY_MS_MAX = 180_000;

export interface BootstrapOptions {
  readonly directory: Directory;
  /** As the directory made it (`makeDeployment`). */
  readonly deployment: string;
  /** Of this deployment, and no other of its name. */
  readonly tables: Tables;
  /** Those that another deployment of its name left. */
  readonly others: () => Promise<readonly TaggedTable[]>;
  /** Chooses the adapter by the server's kind. */
  readonly open: (server: AcceptorServer) => AcceptorStore;
  /** Of the registry's function. */
  readonly address: string;
}

/**
 * Where the registry is: founded now, or whenever it was. A place of the directory that has nothing is filled, and all
 * get the address. @throws Unavailable when it could not be done; said again, it goes on from what there is. Invalid when
 * there are tables of another registry of that name: this one would know nothing of what is in them.
 */
export async function bootstrapRegistry(options: BootstrapOptions): Promise<RegistryPlace> {
  const { directory, tables, address } = options;
  const known = await directory.find();
  const offered = known ?? (await foundNew(options));
  // Whoever does not know whether it was taken deletes nothing.
  const place = await directory.make(offered);
  if (known === undefined && !isSame(place.first, offered.first)) await remove(tables, offered.acceptors);
  await directory.readdress(address);
  return { ...place, address };
}

/** Acceptors' names are used once. */
function isSame(one: Configuration, other: Configuration): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

async function foundNew(options: BootstrapOptions): Promise<RegistryPlace> {
  const { tables, open, address, deployment } = options;
  await assertNoOthers(options);
  const acceptors: AcceptorServer[] = [];
  for (let count = 0; count < TABLES; count++) acceptors.push(await tables.create(acceptors));
  const quorums = majority(acceptors.map(({ id }) => id));
  const first: Configuration = { number: 1 as ConfigurationNumber, previous: 0, quorums };
  const stores = new StorePool(open);
  try {
    await untilReady(tables, acceptors);
    stores.learn(acceptors);
    const ports = productionPorts((acceptor) => stores.get(acceptor));
    await found(ports, REGISTRY, first, REGISTRY_GEOMETRY);
  } catch (error) {
    await remove(tables, acceptors);
    throw error;
  } finally {
    await stores.close();
  }
  return { deployment, address, first, configuration: first, acceptors };
}

/** A directory that was lost is found again by nobody: a registry that is founded in its place forgets all machines. */
async function assertNoOthers(options: BootstrapOptions): Promise<void> {
  const others = await options.others();
  if (others.length === 0) return;
  throw new Invalid(
    "invalid_request",
    `no directory names a registry, and there are tables of one that has this name: restore its directory, or give this deployment another name, or delete them (${others.map(({ location }) => location).join(", ")})`,
  );
}

/** What cannot be deleted here is found by its tag. */
async function remove(tables: Tables, acceptors: readonly AcceptorServer[]): Promise<void> {
  await Promise.allSettled(acceptors.map((acceptor) => tables.delete(acceptor)));
}

async function untilReady(tables: Tables, acceptors: readonly AcceptorServer[]): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  for (const acceptor of acceptors)
    while (!(await tables.isReady(acceptor))) {
      if (performance.now() > deadline)
        throw new Unavailable(
          "unavailable",
          `${acceptor.location} is not ready after ${READY_MS_MAX / 1_000} s`,
        );
      await sleep(LOOK_AGAIN_MS);
    }
}
