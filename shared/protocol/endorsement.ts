/**
 * Endorsements (PROTOCOL §9; the talk's "What about Byzantine failures?"): a reconfiguration is activated only when
 * enough leader processes, each with a key of its own, have checked it and signed for exactly it. That screens bad
 * proposals, also those of a process that went wrong; it does not tolerate that many lying leaders.
 *
 * One that does not count never spoils the others: a liar among those who were asked could block everything.
 */
import { birthBallot, type ConfigurationNumber } from "./ballot.ts";
import type { Configuration, MachineId } from "./configuration.ts";
import type { AcceptorId, Family, QuorumSpec } from "./quorum.ts";
import { Refusal } from "./replica.ts";

/** What the signature is for stands beside it too, so that one for something else is told from a forged one. */
export interface Endorsement {
  readonly leader: string;
  readonly machine: MachineId;
  readonly previous: number;
  readonly configuration: number;
  /** Milliseconds since 1970 on the registry's clock, which its log records. */
  readonly expires: number;
  readonly signature: string;
}

/** An operator's word in place of the endorsements that are missing; it is recorded. */
export interface Override {
  readonly operator: string;
  readonly reason: string;
}

/** Why a configuration was proposed, which whoever endorses it checks. */
export type Reason = { readonly suspects: readonly AcceptorId[] } | { readonly operator: string };

/** Whether the owner of the public key signed the text. There is no cryptography in the core. */
export type Verify = (publicKey: string, text: string, signature: string) => boolean;

/** What the registry's rules may need and may not take for themselves. `time`: as the log recorded it. */
export interface RegistryContext {
  readonly time: number;
  readonly verify: Verify;
}

/** One activation for which an operator answers. */
export interface AuditEntry extends Override {
  readonly machine: MachineId;
  readonly configuration: number;
  readonly time: number;
  readonly endorsements: number;
  readonly needed: number;
}

/** "auto": one of a fleet of two, two from three on. */
export type Threshold = "auto" | number;

/** A leader process as far as endorsing goes. */
export interface Signatory {
  readonly publicKey: string;
  readonly state: "live" | "retired" | "revoked";
}

/** The part of the registry's state that this is about. */
export interface EndorsementState {
  readonly leaders: ReadonlyMap<string, Signatory>;
  readonly settings: { readonly endorsements: Threshold };
  /** Of the last AUDIT_MAX overrides, oldest first. */
  audit: AuditEntry[];
}

/** Overrides that are remembered: more of them than this and somebody has long been told. */
export const AUDIT_MAX = 1_000;
const OVERRIDE_CHARACTERS_MAX = 1_000;

const FORMAT = 1;
const DOMAIN = "theseus reconfiguration endorsement";

/** What is signed: unlike anything else that the key might sign, and unlike it for any other reconfiguration. */
export function endorsementText(machine: MachineId, configuration: Configuration, expires: number): string {
  const { previous, number, quorums } = configuration;
  const from = birthBallot(previous as ConfigurationNumber);
  return JSON.stringify([DOMAIN, FORMAT, machine, from, birthBallot(number), canonical(quorums), expires]);
}

/** The same text for the same quorums, whatever order their fields were written in. */
function canonical({ acceptors, witnesses, read, write }: QuorumSpec): readonly unknown[] {
  return [acceptors, witnesses, canonicalFamily(read), canonicalFamily(write)];
}

function canonicalFamily(family: Family): readonly unknown[] {
  if ("sets" in family) return ["sets", family.sets];
  const weights = Object.entries(family.weights ?? {});
  return ["atLeast", family.atLeast, weights.sort(([one], [other]) => (one < other ? -1 : 1))];
}

/** How many endorsements a reconfiguration needs. */
export function thresholdOf({ leaders, settings }: Omit<EndorsementState, "audit">): number {
  if (settings.endorsements !== "auto") return settings.endorsements;
  return [...leaders.values()].filter(mayEndorse).length >= 3 ? 2 : 1;
}

function mayEndorse({ state }: Signatory): boolean {
  return state === "live";
}

export interface Count {
  readonly valid: readonly Endorsement[];
  /** Of each other one, why it does not count. */
  readonly faults: readonly string[];
}

/** Those that count: distinct by key, of which each leader has one. */
export function countEndorsements(
  machine: MachineId,
  configuration: Configuration,
  endorsements: readonly Endorsement[],
  leaders: EndorsementState["leaders"],
  { time, verify }: RegistryContext,
): Count {
  const valid: Endorsement[] = [];
  const faults: string[] = [];
  const keys = new Set<string>();
  const faultOf = (endorsement: Endorsement): string | undefined => {
    const { leader, expires, signature } = endorsement;
    const signatory = leaders.get(leader);
    if (signatory === undefined) return "is not registered";
    if (!mayEndorse(signatory)) return `is ${signatory.state}`;
    if (keys.has(signatory.publicKey)) return "endorsed twice, by this name or with this key";
    const elsewhere = differenceOf(endorsement, machine, configuration);
    if (elsewhere !== undefined) return elsewhere;
    if (!(expires > time)) return "endorsed it too long ago: that has expired";
    const text = endorsementText(machine, configuration, expires);
    if (!verify(signatory.publicKey, text, signature)) return "did not sign this: it is forged";
    keys.add(signatory.publicKey);
    return undefined;
  };
  for (const endorsement of endorsements) {
    const fault = faultOf(endorsement);
    if (fault === undefined) valid.push(endorsement);
    else faults.push(`${endorsement.leader} ${fault}`);
  }
  return { valid, faults };
}

/** What the endorsement says that it is for, when that is something else. */
function differenceOf(
  endorsement: Endorsement,
  machine: MachineId,
  { previous, number }: Configuration,
): string | undefined {
  if (endorsement.machine !== machine) return `endorsed a configuration of ${endorsement.machine}`;
  if (endorsement.configuration !== number) return `endorsed configuration ${endorsement.configuration}`;
  if (endorsement.previous !== previous) return `endorsed it as the one after ${endorsement.previous}`;
  return undefined;
}

/** Undefined: the reconfiguration may be activated. An override that was needed is recorded. */
export function refusalOf(
  state: EndorsementState,
  machine: MachineId,
  configuration: Configuration,
  { endorsements = [], override }: { endorsements?: readonly Endorsement[]; override?: Override },
  context: RegistryContext,
): Refusal<string> | undefined {
  const needed = thresholdOf(state);
  const { valid, faults } = countEndorsements(machine, configuration, endorsements, state.leaders, context);
  if (valid.length >= needed) return undefined;
  if (override === undefined)
    return new Refusal(tooFew(machine, configuration.number, valid.length, needed, faults));
  if (!isText(override.operator) || !isText(override.reason))
    return new Refusal(
      `an override needs an operator and a reason, each of 1 to ${OVERRIDE_CHARACTERS_MAX} characters`,
    );
  const { operator, reason } = override;
  const counts = { endorsements: valid.length, needed };
  const entry = {
    machine,
    configuration: configuration.number,
    operator,
    reason,
    time: context.time,
    ...counts,
  };
  state.audit = [...state.audit, entry].slice(-AUDIT_MAX);
  return undefined;
}

/** In words for the operator, who alone can do something about it. */
export function tooFew(
  machine: MachineId,
  configuration: ConfigurationNumber,
  valid: number,
  needed: number,
  faults: readonly string[],
): string {
  const why = faults.length === 0 ? "" : ` (${faults.join("; ")})`;
  return `configuration ${configuration} of ${machine} has ${valid} of the ${needed} endorsements that it needs${why}; an operator may override that`;
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value.trim() !== "" && value.length <= OVERRIDE_CHARACTERS_MAX;
}

/** @returns what is wrong with the setting, if something is. */
export function faultOfThreshold(threshold: Threshold): string | undefined {
  if (threshold === "auto" || (Number.isInteger(threshold) && threshold >= 1)) return undefined;
  return `endorsements must be "auto" or a whole number from 1 on, not ${threshold}`;
}
