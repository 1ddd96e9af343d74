/** The registry put together, for a process that serves it all the time and for a function that is frozen between requests. */
import { randomBytes } from "node:crypto";
import type { Hono } from "hono";
import type { Logger } from "pino";
import type { ProcessId } from "../../protocol/ballot.ts";
import type { AcceptorServer } from "../../protocol/registry.ts";
import type { AcceptorStore } from "../../storage/store.ts";
import type { Bindings } from "../http/routes.ts";
import type { Ports } from "../ports.ts";
import { productionPorts } from "../ports-production.ts";
import { observed } from "../repair/observed-ports.ts";
import { type RegistryRepairEvents, RegistryRepairer } from "../repair/registry-repairer.ts";
import { reportSuspicions } from "../repair/report.ts";
import { TableHealth } from "../repair/table-health.ts";
import { StorePool } from "../store-pool.ts";
import { type RegistryInterfaceOptions, registryInterface } from "./registry-http.ts";
import { type RegistryOptions, RegistryService } from "./registry-service.ts";

export interface RegistryPartsOptions extends Pick<RegistryOptions, "first" | "pointer" | "movePointer"> {
  /** Chooses the adapter by the server's kind. */
  readonly open: (server: AcceptorServer) => AcceptorStore;
  /** Where a table is as this process sees it, if that is not where the record says. */
  readonly here?: (server: AcceptorServer) => AcceptorServer;
  /** Called after something was executed; answers wait for what it returns. */
  readonly executed: (service: RegistryService) => void | Promise<void>;
  readonly log: Logger;
}

export interface RegistryParts {
  readonly service: RegistryService;
  readonly stores: StorePool;
  readonly ports: Ports;
  /** Not started: who starts it has it check by itself. */
  readonly repairer: RegistryRepairer;
  serve(options?: Pick<RegistryInterfaceOptions, "maintain" | "callerOf">): Hono<Bindings>;
}

export function registryParts(options: RegistryPartsOptions): RegistryParts {
  const { first, open, pointer, here = (server) => server, log } = options;
  const stores = new StorePool(open);
  const health = new TableHealth(() => performance.now());
  const ports = observed(
    productionPorts((acceptor) => stores.get(acceptor)),
    health,
    (acceptor) => stores.get(acceptor) !== undefined,
  );
  const service = new RegistryService({
    first,
    process: randomBytes(16).toString("hex") as ProcessId,
    ports,
    pointer,
    movePointer: async ({ configuration, acceptors }) => {
      await options.movePointer({ configuration, acceptors: acceptors.map(here) });
      log.info(
        { event: "reconfigured", configuration },
        `the registry is in configuration ${configuration.number}: ${configuration.quorums.acceptors.join(", ")}`,
      );
    },
    learn: (servers) => stores.learn(servers.map(here)),
    forget: (acceptor) => void stores.drop(acceptor),
  });
  service.hosted.on("serving", (ballot) => log.info({ event: "leads", ballot }, "leads the registry"));
  service.hosted.on("abdicated", (abdication, ballot) => {
    if (abdication.why === "damaged") health.distrust(abdication.acceptor);
    log.warn(
      { event: "abdicated", ballot, ...abdication },
      `no longer leads the registry: ${abdication.why}`,
    );
  });
  const executed = () => options.executed(service);
  const report = (err: unknown) => log.error({ event: "error", err });
  return {
    service,
    stores,
    ports,
    repairer: new RegistryRepairer({ service, health, ports, executed, events: reportRepairs(log) }),
    serve: (more = {}) => registryInterface(service, ports.random, { report, executed, ...more }),
  };
}

function reportRepairs(log: Logger): RegistryRepairEvents {
  return {
    ...reportSuspicions(log),
    failed: (err) => log.warn({ event: "failed", err }, "the registry's tables are not all in order yet"),
  };
}
