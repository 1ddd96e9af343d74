/**
 * A process that reconfigures: carries out the effects of the product's `Founding` and `Handover`, and speaks with
 * the registry in between (PROTOCOL §7). One try; it may be given up at any moment, which is as good as a crash.
 */
import { backoffMs } from "../../shared/backoff.ts";
import type { Configuration } from "../../shared/protocol/configuration.ts";
import type { Endorsement } from "../../shared/protocol/endorsement.ts";
import {
  Handover,
  type HandoverEffect,
  type HandoverFailure,
  type HandoverInput,
} from "../../shared/protocol/handover.ts";
import type { AcceptorId, QuorumSpec } from "../../shared/protocol/quorum.ts";
import type { Location, RegistryCommand } from "../../shared/protocol/registry.ts";
import { Refusal } from "../../shared/protocol/replica.ts";
import { carryOut } from "../../shared/runtime/carry-out.ts";
import { found } from "./founder.ts";
import type { Owner } from "./owner.ts";
import { MACHINE, type Process } from "./process.ts";
import { check } from "./violation.ts";
import type { World } from "./world.ts";

const PATIENCE_MS_MAX = 6_000;
/** Once faults are over, as long as it takes. */
const HEALED_PATIENCE_MS = 60_000;
/** How often the old ballots are ended before everything is copied, and how soon. */
const IMPATIENT = 0.2;
const IMPATIENCE_MS_MAX = 100;
/** How often is looked whether the replica is free. */
const POLL_MS = 5;
const NO_HURRY = Number.POSITIVE_INFINITY;

export class Reconfiguration {
  readonly #world: World;
  readonly #owner: Owner;
  readonly #process: Process;
  readonly #quorums: QuorumSpec;
  readonly #nonce: string;
  /** By the product's driver; else by the one below, which is given up more easily. */
  readonly #isHosted: boolean;
  #to: Configuration | undefined;
  #handover: Handover | undefined;
  #endorsements: readonly Endorsement[] = [];
  #attempts = 0;
  stage: "proposing" | "founding" | "endorsing" | "copying" | "fencing" | "completing" | "over" = "proposing";

  constructor(world: World, owner: Owner, process: Process, quorums: QuorumSpec) {
    this.#world = world;
    this.#owner = owner;
    this.#process = process;
    this.#quorums = quorums;
    this.#nonce = `try ${world.unique()}`;
    this.#isHosted = world.random.chance(0.5);
  }

  start(): void {
    const { random, isHealed } = this.#world;
    const patienceMs = isHealed ? HEALED_PATIENCE_MS : random.between(200, PATIENCE_MS_MAX);
    this.#process.ports.after(patienceMs, () => this.giveUp());
    this.#propose();
  }

  giveUp(): void {
    if (this.stage === "over") return;
    this.#world.coverage.hit("reconfigurationGivenUp");
    // The product's driver gives up only much later, so its process ends.
    const isUnderWay = this.#isHosted && this.stage === "copying";
    this.#end(`given up while ${this.stage}`);
    if (isUnderWay) this.#process.end();
  }

  #propose(): void {
    const command = {
      type: "propose",
      machine: MACHINE,
      quorums: this.#quorums,
      nonce: this.#nonce,
      reason: { operator: "the nemesis" },
    } as const;
    this.#ask(command, (answer) => {
      if (answer instanceof Refusal) return this.#end(`refused: ${answer.reason}`);
      const to = (answer as Location).configuration;
      this.#lookUp((from) => {
        if (from.number !== to.previous) return this.#end(`${to.previous} is not active any more`);
        this.#found(from, to);
      });
    });
  }

  /** All acceptors or none: a table that is missing from the start would never be missed before it is needed. */
  #found(from: Configuration, to: Configuration): void {
    this.stage = "founding";
    const { geometry } = this.#world.options;
    found(to, geometry, this.#process.foundingPorts(), NO_HURRY, (on) => {
      if (this.stage !== "founding") return;
      if (on.length < to.quorums.acceptors.length) this.#end(`founded on ${on} only`);
      else this.#gather(to, () => this.#copy(from, to));
    });
  }

  /** Before the fence, since it takes time; whether they are enough is for the registry to say. */
  #gather(to: Configuration, then: () => void): void {
    const stage = this.stage === "founding" ? "endorsing" : this.stage;
    this.stage = stage;
    this.#world.endorsers.gather(this.#process, to, (endorsements) => {
      if (this.stage !== stage) return;
      this.#endorsements = endorsements;
      then();
    });
  }

  #copy(from: Configuration, to: Configuration): void {
    this.stage = "copying";
    this.#to = to;
    if (this.#isHosted) {
      this.#process.host.reconfigure(from, to, (failure) =>
        this.#process.say(() => (failure === undefined ? this.#complete(to) : this.#fail(failure))),
      );
      return;
    }
    const { host, ports } = this.#process;
    this.#handover = new Handover({
      from,
      to,
      geometry: this.#world.options.geometry,
      digest: ports.digest,
      log: host.log,
      distrusted: new Set<AcceptorId>(),
    });
    this.#step({ input: "copy" });
    // Copying first only makes the pause shorter.
    const { random } = this.#world;
    if (random.chance(IMPATIENT)) ports.after(random.between(0, IMPATIENCE_MS_MAX), () => this.#fence());
  }

  /** From here on the replica is the handover's alone. */
  #fence(): void {
    if (this.stage !== "copying") return;
    const process = this.#process;
    if (process.isCatchingUp) return void process.ports.after(POLL_MS, () => this.#fence());
    this.stage = "fencing";
    process.isReserved = true;
    process.host.resign();
    this.#step({ input: "fence" });
  }

  #complete(to: Configuration): void {
    this.stage = "completing";
    const { endorsers } = this.#world;
    const command = {
      type: "complete",
      machine: MACHINE,
      configuration: to.number,
      endorsements: this.#endorsements,
      ...(endorsers.isOverridden && { override: { operator: "the nemesis", reason: "impatience" } }),
    } as const;
    this.#ask(command, (answer) => {
      if (answer instanceof Refusal) return this.#gather(to, () => this.#complete(to));
      const { activated } = answer as { activated: boolean };
      if (!activated) this.#world.coverage.hit("superseded");
      this.#end(activated ? "activated" : "superseded");
      if (activated) this.#owner.activated(this.#process, to);
      else this.#owner.lookUp(this.#process);
    });
  }

  #step(input: HandoverInput): void {
    if (this.stage !== "over")
      for (const effect of (this.#handover as Handover).step(input))
        this.#process.say(() => this.#carryOut(effect));
  }

  #carryOut(effect: HandoverEffect): void {
    const { ports, host } = this.#process;
    if (effect.effect === "ask" || effect.effect === "retry")
      carryOut(ports, MACHINE, effect, (input) => this.#step(input));
    else if (effect.effect === "execute") {
      host.replica.execute(effect.slot, effect.text);
      this.#owner.executed(this.#process, effect.slot, effect.text);
    } else if (effect.effect === "install") {
      host.replica.install(effect.frozen);
      this.#owner.installed(this.#process, effect.slot);
    } else if (effect.effect === "copied") this.#fence();
    else if (effect.effect === "transferred") this.#complete(this.#to as Configuration);
    else if (effect.effect === "failed") this.#fail(effect.failure);
  }

  #fail(failure: HandoverFailure): void {
    check("WINDOW", failure.why !== "alarm", () => JSON.stringify(failure));
    if (failure.why === "damaged")
      check("HEAD_CLAIM", this.#owner.isSuspect(failure.acceptor), () => JSON.stringify(failure));
    if (this.stage === "fencing") this.#world.coverage.hit("fencedInVain");
    this.#end(JSON.stringify(failure));
    this.#owner.lookUp(this.#process);
  }

  #end(why: string): void {
    if (this.stage === "over") return;
    this.#world.trace(() => `${this.#process.name} reconfigures no more: ${why}`);
    this.stage = "over";
    this.#process.isReserved = false;
    this.#process.reconfiguration = undefined;
  }

  /** Until there is an answer: every command may be said again. */
  #ask(command: RegistryCommand, answered: (answer: unknown) => void): void {
    if (this.stage === "over") return;
    this.#world.registrar.ask(this.#process, command, (answer) => {
      if (this.stage === "over") return;
      if (answer !== undefined) return answered(answer);
      const { ports } = this.#process;
      ports.after(backoffMs(++this.#attempts, ports.random), () => this.#ask(command, answered));
    });
  }

  #lookUp(found: (active: Configuration) => void): void {
    if (this.stage === "over") return;
    this.#world.registrar.lookup(this.#process, (active) => {
      if (this.stage === "over") return;
      if (active !== undefined) found(active);
      else this.#process.ports.after(POLL_MS, () => this.#lookUp(found));
    });
  }
}
