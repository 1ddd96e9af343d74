/**
 * The registry over HTTP: commands, and the questions that it answers from its state. Whoever knows only
 * the registry's address finds a machine through it: any call on a machine is sent on to a leader process.
 */
import { type Context, Hono } from "hono";
import { Forbidden, Invalid, Unavailable } from "../../errors.ts";
import type { MachineId } from "../../protocol/configuration.ts";
import { type AcceptorId, modeOf } from "../../protocol/quorum.ts";
import {
  type LeaderServer,
  lookup,
  machinesOn,
  proposalOf,
  type RegistryState,
} from "../../protocol/registry.ts";
import { problemOf, type ReconfigureAnswer } from "../../wire.ts";
import { problemFor, problemResponse, type Report } from "../http/problem.ts";
import { bodyOf, reconfigurationOf } from "../http/requests.ts";
import { type Bindings, get, post } from "../http/routes.ts";
import type { Provisioning, TimedProposal } from "./registry-client.ts";
import { registryCommandOf } from "./registry-commands.ts";
import type { RegistryService } from "./registry-service.ts";
import { assertMayCall, assertMaySay, type Caller } from "./rights.ts";

const MACHINES_PAGE = 1_000;

export interface RegistryInterfaceOptions {
  readonly report?: Report;
  /** Called after a command was executed; the answer waits for what it returns. */
  readonly executed?: () => void | Promise<void>;
  /** One pass of what a process would do by itself; absent where it does. */
  readonly maintain?: () => Promise<void>;
  /** Who calls, and what for; absent: whoever can reach the registry may say anything, as on one machine. */
  readonly callerOf?: ((c: Context) => Caller) | undefined;
}

/** `random`: in [0, 1); spreads callers over the leader processes. */
export function registryInterface(
  service: RegistryService,
  random: () => number,
  { report = console.error, executed = () => {}, maintain, callerOf }: RegistryInterfaceOptions = {},
): Hono<Bindings> {
  const app = new Hono<Bindings>();
  app.onError((error) => {
    // A wrong policy or somebody who tries: either way there is something to see to.
    if (error instanceof Forbidden) report(error);
    return problemResponse(problemFor(error, report));
  });
  app.notFound((c) => problemResponse(problemOf(new Invalid("not_found", `there is no ${c.req.path}`))));
  if (callerOf !== undefined)
    app.use((c, next) => {
      assertMayCall(callerOf(c).job, c.req.path);
      return next();
    });
  commands(app, service, executed, callerOf);
  if (maintain !== undefined)
    post(app, "/v1/registry/maintain", async (c) => {
      await maintain();
      return c.json({});
    });
  questions(app, service);
  forwarding(app, service, random);
  return app;
}

function commands(
  app: Hono<Bindings>,
  service: RegistryService,
  executed: () => void | Promise<void>,
  callerOf: RegistryInterfaceOptions["callerOf"],
): void {
  post(app, "/v1/registry/commands", async (c) => {
    const command = registryCommandOf(await bodyOf(c));
    if (callerOf !== undefined) assertMaySay(callerOf(c), command);
    const answer = await service.command(command);
    await executed();
    return c.json(answer);
  });
  post(app, "/v1/registry/reconfigure", async (c) => {
    const configuration = await service.tables.reconfigure(reconfigurationOf(await bodyOf(c)));
    await executed();
    const { number, previous, quorums } = configuration;
    const mode = modeOf(quorums);
    return c.json({ number, previous, mode, acceptors: quorums.acceptors } satisfies ReconfigureAnswer);
  });
}

function questions(app: Hono<Bindings>, service: RegistryService): void {
  get(app, "/v1/health", (c) => c.json({ status: "ok" }));
  get(app, "/v1/servers", async (c) =>
    c.json(
      await service.read((state) => ({
        leaders: [...state.leaders.values()].filter((leader) => leader.state !== "retired"),
        acceptors: [...state.acceptors.values()],
      })),
    ),
  );
  get(app, "/v1/registry/provisioning", async (c) => c.json(await service.read(provisioningOf)));
  get(app, "/v1/registry", async (c) => {
    const applied = await service.read(() => service.hosted.host.replica.applied);
    const { configuration, ballot } = service.hosted.host;
    return c.json({ configuration, ballot, applied, outbox: service.state.outbox.size });
  });
  get(app, "/v1/registry/machines", async (c) => {
    const after = c.req.query("after") ?? "";
    const machines = await service.read((state) =>
      [...state.machines.keys()].filter((id) => id > after).sort(),
    );
    return c.json({ machines: machines.slice(0, MACHINES_PAGE) });
  });
  get(app, "/v1/registry/acceptors/:acceptor/machines", async (c) => {
    const acceptor = c.req.param("acceptor") as AcceptorId;
    return c.json({ machines: await service.read((state) => machinesOn(state, acceptor)) });
  });
  get(app, "/v1/registry/machines/:machine/:id", async (c) => {
    const machine = machineOf(c.req.param("machine"), c.req.param("id"));
    const location = await service.read((state) => lookup(state, machine));
    if (location === undefined) throw new Invalid("unknown_machine", `${machine} was never started`);
    return c.json(location);
  });
  get(app, "/v1/registry/machines/:machine/:id/configurations/:number", async (c) => {
    const machine = machineOf(c.req.param("machine"), c.req.param("id"));
    const number = Number(c.req.param("number"));
    const proposal = await service.read((state) => proposalOf(state, machine, number));
    if (proposal === undefined)
      throw new Invalid("not_found", `${machine} has no proposed configuration ${c.req.param("number")}`);
    return c.json({ ...proposal, time: service.now() } satisfies TimedProposal);
  });
  get(app, "/v1/registry/audit", async (c) => c.json(await service.read(({ audit }) => ({ audit }))));
}

export function provisioningOf(state: RegistryState): Provisioning {
  const { outbox, acceptors, leaders, claims, former, settings } = state;
  return {
    outbox: [...outbox.values()],
    acceptors: [...acceptors.values()],
    leaders: [...leaders.values()],
    claims: [...claims].map(([task, leader]) => ({ task, leader })),
    former: [...former],
    settings,
  };
}

function forwarding(app: Hono<Bindings>, service: RegistryService, random: () => number): void {
  app.all("/v1/machines/:machine/:id/*", async (c) => {
    const machine = machineOf(c.req.param("machine"), c.req.param("id"));
    const leaders = await service.read(liveLeaders);
    const leader = leaders[Math.floor(random() * leaders.length)]?.address;
    if (leader === undefined)
      throw new Unavailable("unavailable", "no leader process is registered yet: try again");
    throw new Unavailable("not_leader", `${machine} is led by a leader process: ask ${leader}`, { leader });
  });
}

function liveLeaders({ leaders }: RegistryState): readonly LeaderServer[] {
  return [...leaders.values()].filter(({ state }) => state === "live");
}

function machineOf(name: string | undefined, id: string | undefined): MachineId {
  return `${name}/${id}` as MachineId;
}
