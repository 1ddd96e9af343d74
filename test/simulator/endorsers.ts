/**
 * The processes as endorsers, with keys that are honest about forgery, and what can be wrong with what they answer. What
 * was signed in truth is kept here, and every activation is checked against that: nothing of the product's is used.
 */
import type { ConfigurationNumber } from "../../shared/protocol/ballot.ts";
import type { Configuration, MachineId } from "../../shared/protocol/configuration.ts";
import { type Endorsement, endorsementText, type Threshold } from "../../shared/protocol/endorsement.ts";
import type { LeaderServer, RegistryCommand } from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { signAs } from "../support/endorsing.ts";
import { HOP_MS_MAX } from "./network.ts";
import { MACHINE, type Process } from "./process.ts";
import type { Random } from "./random.ts";
import { check } from "./violation.ts";
import type { World } from "./world.ts";

type Complete = Extract<RegistryCommand, { type: "complete" }>;

const VALID_MS = 5_000;
const SOON_OVER_MS_MAX = 50;
const LATE_REGISTRATION_MS_MAX = 300;
/** Answers that come later are not waited for. */
const ANSWERS_MS_MAX = 20;
const VISITOR = { leader: "visitor", publicKey: "key of the visitor" };
const OTHER_MACHINE = "ledger/2" as MachineId;
/** How an endorser may answer; once faults are over, and half of the time before that, it is honest. */
const WAYS = [
  "refuses",
  "expired",
  "expires soon",
  "forged",
  "twice",
  "for another machine",
  "for another predecessor",
  "for another number",
  "for other quorums",
  "with a revoked one's",
  "in another's name too",
] as const;

export class Endorsers {
  readonly #world: World;
  /** Of its own, so that runs without reconfiguration stay what they were. */
  readonly #random: Random;
  /** Every signature that was made, each with what it is for. */
  readonly #signed = new Set<string>();
  /** Registered and not revoked, with the key of each. */
  readonly #keys = new Map<string, string>();
  readonly #threshold: Threshold;
  #audited = 0;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
    this.#threshold = random.chance(0.3) ? 1 + random.below(world.options.processes) : "auto";
  }

  /** A leader process that was revoked, and signs all the same; and the deployment's own threshold. */
  prepare(): void {
    this.#world.registrar.execute(registering(VISITOR.leader, VISITOR.publicKey));
    this.#keys.delete(VISITOR.leader);
    this.#world.registrar.execute({ type: "revokeLeader", leader: VISITOR.leader });
    this.#world.registrar.execute({ type: "configure", endorsements: this.#threshold });
  }

  /** By its place, which outlives it; sometimes only after a while, in which its predecessor's key stands. */
  started(process: Process, place: number): void {
    const register = (): void => {
      if (process.isAlive) this.#register(process, place);
    };
    const { scheduler, options, isHealed } = this.#world;
    const isLate = options.vertical !== undefined && !isHealed && this.#random.chance(0.3);
    if (isLate) scheduler.after(this.#random.between(0, LATE_REGISTRATION_MS_MAX), register);
    else register();
  }

  #register(process: Process, place: number): void {
    this.#world.registrar.insist(process, registering(nameOf(place), keyOf(process)));
  }

  /** The registry has recorded it: an earlier key of that name counts no more. */
  registered({ id, publicKey = "" }: LeaderServer): void {
    this.#keys.set(id, publicKey);
  }

  /** Asks all processes; `done` with what came in time. */
  gather(asker: Process, configuration: Configuration, done: (got: readonly Endorsement[]) => void): void {
    const { processes, scheduler } = this.#world;
    const got: Endorsement[] = [];
    const hop = (arrive: () => void): void => {
      scheduler.after(this.#random.between(0.2, HOP_MS_MAX), arrive);
    };
    for (const [place, process] of processes.entries())
      hop(() =>
        process.enter(() => {
          const answer = this.#answer(process, place, configuration);
          hop(() => got.push(...answer));
        }),
      );
    scheduler.after(ANSWERS_MS_MAX, () => asker.enter(() => done([...got])));
  }

  /** An operator who does not wait for endorsements any longer. */
  get isOverridden(): boolean {
    return !this.#world.isHealed && this.#random.chance(0.1);
  }

  #answer(process: Process, place: number, configuration: Configuration): readonly Endorsement[] {
    const { registrar, scheduler, isHealed, coverage } = this.#world;
    if (configuration.previous !== registrar.active.number) return [];
    const [leader, publicKey] = [nameOf(place), keyOf(process)];
    // A late word of an earlier process in this place may have taken its place on record.
    if (this.#keys.get(leader) !== publicKey) this.#register(process, place);
    const now = Math.floor(scheduler.now);
    const expires = now + VALID_MS;
    const { previous, number } = configuration;
    const signedFor = (other: Configuration) => ({
      ...this.#endorse(leader, publicKey, other, expires),
      previous,
      configuration: number,
    });
    const honest = () => this.#endorse(leader, publicKey, configuration, expires);
    if (isHealed || this.#random.chance(0.5)) return [honest()];
    coverage.hit("badEndorsement");
    switch (this.#random.pick(WAYS)) {
      case "refuses":
        return [];
      case "expired":
        return [this.#endorse(leader, publicKey, configuration, now - 1)];
      case "expires soon":
        return [this.#endorse(leader, publicKey, configuration, now + this.#random.below(SOON_OVER_MS_MAX))];
      case "forged":
        return [{ ...honest(), signature: signAs("nobody's key", leader) }];
      case "twice":
        return [honest(), honest()];
      case "for another machine": {
        const other = this.#endorse(leader, publicKey, configuration, expires, OTHER_MACHINE);
        return [{ ...other, machine: MACHINE }];
      }
      case "for another predecessor":
        return [signedFor({ ...configuration, previous: previous + 1 })];
      case "for another number":
        return [signedFor({ ...configuration, number: (number + 1) as ConfigurationNumber })];
      case "for other quorums":
        return [signedFor({ ...configuration, quorums: this.#world.options.quorums })];
      case "with a revoked one's":
        return [this.#endorse(VISITOR.leader, VISITOR.publicKey, configuration, expires), honest()];
      case "in another's name too":
        return [honest(), { ...honest(), leader: nameOf(place + 1) }];
    }
  }

  #endorse(
    leader: string,
    publicKey: string,
    configuration: Configuration,
    expires: number,
    machine = MACHINE,
  ): Endorsement {
    const { previous, number } = configuration;
    const signature = signAs(publicKey, endorsementText(machine, configuration, expires));
    this.#signed.add(truth(signature, publicKey, machine, configuration, expires));
    return { leader, machine, previous, configuration: number, expires, signature };
  }

  /** What the registry said to `complete` a pending configuration. */
  checkCompleted(
    command: Complete,
    configuration: Configuration,
    answer: unknown,
    audited: number,
    now: number,
  ): void {
    const isSound = ({ leader, expires, signature }: Endorsement): boolean => {
      const key = this.#keys.get(leader) ?? "";
      return expires > now && this.#signed.has(truth(signature, key, MACHINE, configuration, expires));
    };
    const signers = (command.endorsements ?? []).filter(isSound);
    const count = new Set(signers.map(({ leader }) => leader)).size;
    const isEnough = count >= this.#needed;
    const isActivated = !(answer instanceof Refusal);
    const words = () => `${count} of ${this.#needed} endorsed ${JSON.stringify(command)}`;
    check("ENDORSED", isActivated === (isEnough || command.override !== undefined), words);
    if (isActivated && !isEnough) this.#audited++;
    check("ENDORSED", audited === this.#audited, () => `${words()}; ${audited} overrides are recorded`);
    this.#world.coverage.hit(isEnough ? "endorsed" : isActivated ? "overridden" : "notEndorsed");
  }

  get #needed(): number {
    if (this.#threshold !== "auto") return this.#threshold;
    return this.#keys.size > 2 ? 2 : 1;
  }
}

function registering(id: string, publicKey: string): RegistryCommand {
  const process = "0".repeat(32) as Process["id"];
  return { type: "registerLeader", leader: { id, process, address: id, publicKey } };
}

function nameOf(place: number): string {
  return `leader ${place}`;
}

function keyOf({ id }: Process): string {
  return `key of ${id}`;
}

function truth(...of: [signature: string, key: string, MachineId, Configuration, expires: number]): string {
  return JSON.stringify(of);
}
