/**
 * The registry replaces its own tables while it serves (PROTOCOL §8): others from the spares, then the pointer is moved,
 * and then what only older configurations used is deleted. Whoever dies half-way is followed by whoever leads next:
 * each step is begun again from what the log and the pointer say.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Invalid, TheseusError, Unavailable } from "../../errors.ts";
import { HEAD } from "../../protocol/acceptor.ts";
import type { Configuration } from "../../protocol/configuration.ts";
import { faultOfReconfigure } from "../../protocol/horizontal.ts";
import { outstanding } from "../../protocol/outbox.ts";
import { leftBehind, ownAcceptors, ownRecords } from "../../protocol/own-tables.ts";
import {
  type AcceptorServer,
  nearestFirst,
  type SuspectAnswer,
  type Suspicion,
  serverOf,
} from "../../protocol/pool.ts";
import { type AcceptorId, type QuorumSpec, replaceAcceptor } from "../../protocol/quorum.ts";
import type { RegistryCommand } from "../../protocol/registry.ts";
import type { NewQuorums } from "../../wire.ts";
import { modeNamed } from "../http/quorums-of.ts";
import { REGISTRY, type RegistryOptions, type RegistryService } from "./registry-service.ts";

/** A spare that has not answered by then is passed over. */
const ANSWER_MS_MAX = 1_000;
/** Who says that one of the registry's tables is lost: the process that leads it. */
const SELF = "registry";

const CHANGES_NOTHING: RegistryCommand = { type: "configure" };

export class OwnTables {
  readonly #service: RegistryService;
  readonly #options: RegistryOptions;
  /** The newest configuration that is known here to be installed, if it is not the one that it began with. */
  #installed: Configuration | undefined;
  #pointedTo: number;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(service: RegistryService, options: RegistryOptions) {
    this.#service = service;
    this.#options = options;
    this.#pointedTo = options.first.number;
    service.hosted.on("epochInstalled", (configuration) => {
      if (configuration.number > this.#pointedTo) this.#installed = configuration;
    });
  }

  /** Those of the current configuration that are to be replaced. */
  get suspected(): readonly AcceptorId[] {
    const { acceptors } = this.#service.succession.current.configuration.quorums;
    const lost = ownRecords(this.#service.state).filter((record) => record.suspected);
    return lost.map(({ id }) => id).filter((id) => acceptors.includes(id));
  }

  /**
   * Resolves once these are installed, and what they replace is being deleted. Saying it again is harmless.
   * @throws Invalid with what is wrong with the request.
   */
  reconfigure(request: NewQuorums): Promise<Configuration> {
    // One after another: what is said twice at once is done the second time.
    const turn = this.#turn.then(() => this.#reconfigure(request));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** They are on record, so that nobody takes them for tables that are on none. It is being led. */
  async record(): Promise<void> {
    const { number, quorums } = this.#service.succession.current.configuration;
    await this.#adoptFor(number, quorums.acceptors);
  }

  /** Has one of them replaced, unless that is too many. */
  async suspect(acceptor: AcceptorId, why: Suspicion): Promise<SuspectAnswer> {
    await this.#adoptFor(this.#service.succession.current.configuration.number, [acceptor]);
    const { response } = await this.#service.command({ type: "suspectAcceptor", acceptor, by: SELF, why });
    return response as SuspectAnswer;
  }

  /**
   * What is installed is pointed to, and only then what was left behind for it is deleted: whoever finds the one gone
   * must find the other. Answers whether any was.
   */
  async settle(): Promise<boolean> {
    const configuration = this.#installed;
    if (configuration === undefined) return false;
    const { number, quorums } = configuration;
    const { state } = this.#service;
    const isOfIt = ({ id }: AcceptorServer) => quorums.acceptors.includes(id);
    if (number > this.#pointedTo) {
      await this.#options.movePointer({ configuration, acceptors: ownAcceptors(state).filter(isOfIt) });
      this.#pointedTo = Math.max(this.#pointedTo, number);
    }
    if (leftBehind(state, number, quorums.acceptors).length === 0) return false;
    const { acceptors } = quorums;
    await this.#service.command({ type: "installed", configuration: number, acceptors });
    return true;
  }

  async #reconfigure(request: NewQuorums): Promise<Configuration> {
    const configuration = await this.#service.leading(() => this.#propose(request));
    await this.#service.leading(() => this.#untilInstalled(configuration));
    await this.settle();
    return configuration;
  }

  /** What is asked for: the newest configuration, if it is that already, or the one after it. */
  async #propose(request: NewQuorums): Promise<Configuration> {
    const { hosted } = this.#service;
    await hosted.read();
    const { current, next } = this.#service.succession;
    const newest = (next ?? current).configuration;
    const quorums = await this.#quorumsOf(request, newest);
    if (JSON.stringify(quorums) === JSON.stringify(newest.quorums)) return newest;
    if (next !== undefined)
      throw new Unavailable("unavailable", "another reconfiguration of the registry is under way: try again");
    const reconfigure = { expect: newest.number, quorums };
    const fault = faultOfReconfigure(this.#service.succession, reconfigure);
    if (fault !== undefined) throw keepsTables(fault);
    await this.#adoptFor(newest.number, newest.quorums.acceptors);
    await this.#adoptFor(newest.number + 1, quorums.acceptors);
    const [reply] = await hosted.send([{ reconfigure }]);
    if (reply instanceof TheseusError) throw reply;
    const proposed = reply?.reply === "reconfiguration" ? reply.succession.next : undefined;
    if (reply?.reply === "reconfiguration" && reply.void === undefined && proposed !== undefined)
      return proposed.configuration;
    throw new Unavailable("unavailable", "another reconfiguration of the registry came first: try again");
  }

  /** A command that is executed in an epoch proves that it is installed: nothing is voted there before (PROTOCOL §8). */
  async #untilInstalled({ number }: Configuration): Promise<void> {
    const [result] = await this.#service.hosted.send([{ command: CHANGES_NOTHING }]);
    if (result === undefined || result instanceof TheseusError) throw result;
    const { configuration, first } = this.#service.succession.current;
    if (configuration.number < number || result.slot < first)
      throw new Unavailable("unavailable", "the registry's new tables are not installed yet: try again");
  }

  async #quorumsOf(request: NewQuorums, newest: Configuration): Promise<QuorumSpec> {
    if ("quorums" in request) return request.quorums;
    if ("mode" in request) return modeNamed(request.mode)(request.acceptors as readonly AcceptorId[]);
    const present = newest.quorums;
    const old = request.replace as AcceptorId;
    const by = request.by as AcceptorId | undefined;
    if (present.acceptors.includes(old))
      return replaceAcceptor(present, old, by ?? (await this.#substitute(old, newest)));
    const { former, acceptors } = this.#service.state;
    const wasOne = former.has(old) || ["own", "retired"].includes(acceptors.get(old)?.state ?? "");
    const isDone = by === undefined ? wasOne : present.acceptors.includes(by);
    if (isDone) return present;
    const names = present.acceptors.join(", ");
    throw new Invalid("invalid_request", `${old} is not one of the registry's acceptors: ${names}`);
  }

  /** One that was adopted before and never used, else a spare, from the same place if it can be; one that answers. */
  async #substitute(old: AcceptorId, { number, quorums }: Configuration): Promise<AcceptorId> {
    const { state } = this.#service;
    const adopted = ownRecords(state).filter(
      ({ id, suspected, configuration = 0 }) =>
        configuration > number && !suspected && !quorums.acceptors.includes(id),
    );
    const spares = [...state.acceptors.values()].filter((record) => record.state === "spare");
    const replaced = state.acceptors.get(old);
    const candidates = [...adopted, ...(replaced === undefined ? spares : nearestFirst(replaced, spares))];
    for (const candidate of candidates) if (await this.#answers(candidate)) return candidate.id;
    if (outstanding(state, "createAcceptor").length > 0)
      throw new Unavailable("unavailable", "there is no spare table yet: one is being made, try again");
    throw new Invalid(
      "invalid_request",
      "there is no spare table: start with more of them (--spares), or name one (by)",
    );
  }

  #answers(candidate: AcceptorServer): Promise<boolean> {
    const { ports, learn } = this.#options;
    learn([candidate]);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    ports.ask(candidate.id, REGISTRY, [{ verb: "read", key: HEAD }], ([outcome]) =>
      resolve(outcome !== undefined && outcome.outcome !== "unknown" && !("gone" in outcome)),
    );
    return Promise.race([promise, sleep(ANSWER_MS_MAX, false, { ref: false })]);
  }

  /** Tables are on record as the registry's, with their places, before its log says so. */
  async #adoptFor(configuration: number, ids: readonly AcceptorId[]): Promise<void> {
    const pointed = new Map((await this.#options.pointer()).acceptors.map((each) => [each.id, each]));
    for (const id of ids) {
      const record = this.#service.state.acceptors.get(id);
      const acceptor = record === undefined ? pointed.get(id) : serverOf(record);
      if (acceptor === undefined) throw keepsTables(`there is no acceptor ${id}`);
      if (record?.state === "own" && (record.configuration ?? 0) >= configuration) continue;
      const command = { type: "adoptAcceptor", acceptor, configuration } as const;
      const { response, refused } = await this.#service.command(command);
      if (refused) throw keepsTables(String(response));
    }
  }
}

function keepsTables(fault: string): Invalid {
  return new Invalid("invalid_request", `the registry keeps its tables: ${fault}`);
}
