/**
 * What one run is like: drawn from its seed (swarm testing: each run leaves some kinds of faults out and
 * has others often, so that rare combinations are somebody's common case), and overridden by flags.
 */
import { type AcceptorId, type Family, majority, type QuorumSpec } from "../../shared/protocol/quorum.ts";
import { type Geometry, REGISTRY_GEOMETRY } from "../../shared/protocol/slot.ts";
import type { Random } from "./random.ts";

/** Probabilities per message, or per visit of the nemesis. */
export interface Rates {
  readonly requestLost: number;
  readonly requestDelayed: number;
  readonly requestDuplicated: number;
  readonly replyLost: number;
  readonly replyDelayed: number;
  readonly throttled: number;
  readonly verbsSplit: number;
  readonly clientRequestLost: number;
  readonly clientReplyLost: number;
  readonly clientDuplicate: number;
  readonly clientTwoProcesses: number;
  readonly followerGap: number;
  /** A new leader tells another process that it leads. */
  readonly announced: number;
  readonly crash: number;
  readonly crashMidStep: number;
  readonly pause: number;
  readonly lead: number;
  readonly resign: number;
  readonly handOver: number;
  readonly clockJump: number;
  readonly tableLost: number;
  readonly tableRecreated: number;
  readonly tableSlow: number;
  readonly tableUnreachable: number;
  readonly tableOneWay: number;
}

/** Of reconfigurations. */
export interface VerticalRates {
  /** Per visit of the nemesis. */
  readonly reconfigure: number;
  /** By a process that was fenced and finds no newer configuration. */
  readonly reconfigureWhenFenced: number;
  /** Something of the outbox is carried out, or a table that only older configurations have is deleted; per visit. */
  readonly retire: number;
  /** A process tries to lead a configuration that it knows is over. */
  readonly stale: number;
}

/** Of a machine whose configuration is part of its state. */
export interface HorizontalOptions extends VerticalRates {
  /** Absent: the epoch form. */
  readonly alpha?: number;
  /** A reconfiguration command expects another configuration than the current one. */
  readonly wrongExpect: number;
}

/** Of snapshots, and of truncating by them. */
export interface TruncationRates {
  /** A process that executes a chunk's last slot truncates. */
  readonly truncate: number;
  /** Not at once, but long after the snapshot was taken. */
  readonly late: number;
  /** So small that a snapshot has several parts. */
  readonly partBytes: number;
}

export type SubjectName = "ledger" | "registry";

export interface Options {
  readonly subject: SubjectName;
  readonly geometry: Geometry;
  readonly quorums: QuorumSpec;
  readonly processes: number;
  readonly clients: number;
  readonly rates: Rates;
  /** Absent: the first configuration stays. */
  readonly vertical?: VerticalRates;
  /** Or the machine reconfigures itself. */
  readonly horizontal?: HorizontalOptions;
  /** Absent: all chunks stay. */
  readonly truncation?: TruncationRates;
  /** Of the registry's own log; absent: it is one atomic object. */
  readonly registry?: Options;
  /** Events of the safety phase. */
  readonly events: number;
  /** Tables may be lost until only a read quorum is left: safety is still owed, progress no longer. */
  readonly doomed: boolean;
  /** How fast clients come back: mean milliseconds between an answer and the next command. */
  readonly thinkMs: number;
}

/** `no`: the first configuration stays, or is replaced through a registry. */
export type Form = "no" | "epoch" | "alpha";

/** What flags may fix; everything else is drawn. */
export interface Overrides {
  readonly subject?: SubjectName;
  readonly lanes?: number;
  readonly chunkSlots?: number;
  readonly quorums?: string;
  readonly events?: number;
  readonly vertical?: boolean;
  readonly horizontal?: Form;
  readonly alpha?: number;
  readonly truncation?: boolean;
  readonly logged?: boolean;
  /** Names of rates to be at their highest. */
  readonly stress?: readonly (keyof Rates)[];
}

/** The most that each rate may be. */
const RATES_MAX: Rates = {
  requestLost: 0.06,
  requestDelayed: 0.06,
  requestDuplicated: 0.1,
  replyLost: 0.06,
  replyDelayed: 0.1,
  throttled: 0.06,
  verbsSplit: 0.4,
  clientRequestLost: 0.1,
  clientReplyLost: 0.2,
  clientDuplicate: 0.2,
  clientTwoProcesses: 0.3,
  followerGap: 0.1,
  announced: 0.6,
  crash: 0.04,
  crashMidStep: 0.05,
  pause: 0.25,
  lead: 0.12,
  resign: 0.05,
  handOver: 0.05,
  clockJump: 0.05,
  tableLost: 0.03,
  tableRecreated: 0.03,
  tableSlow: 0.05,
  tableUnreachable: 0.04,
  tableOneWay: 0.04,
};
/** How often a run leaves a kind of fault out altogether. */
const LEFT_OUT = 0.25;

const GEOMETRIES: readonly Geometry[] = [
  { lanes: 1, chunkSlots: 1 },
  { lanes: 2, chunkSlots: 1 },
  { lanes: 2, chunkSlots: 2 },
  { lanes: 4, chunkSlots: 2 },
  { lanes: 4, chunkSlots: 3 },
  { lanes: 8, chunkSlots: 4 },
  { lanes: 32, chunkSlots: 8 },
];

/** How often a ledger is reconfigured. */
const VERTICAL = 0.4;
/** How often the registry that is asked then is run by a log of its own. */
const LOGGED = 0.3;
/** That log takes part of the events: so many times as many. */
const LOGGED_EVENTS = 2;
const VERTICAL_RATES_MAX: VerticalRates = {
  reconfigure: 0.15,
  reconfigureWhenFenced: 1,
  retire: 0.3,
  stale: 0.2,
};

/** How often a run that is not reconfigured vertically is reconfigured horizontally. */
const HORIZONTAL = 0.4;
const WRONG_EXPECT_MAX = 0.4;
/** How often a run truncates. */
const TRUNCATION = 0.5;
const TRUNCATE_MAX = 0.1;
const LATE_MAX = 0.3;
const PART_BYTES = [300, 2_000, 20_000];

/** Whom to ask for each group of options: those of one group stay what they were when another one grows. */
export interface Draws {
  readonly random: Random;
  readonly vertical: Random;
  readonly truncation: Random;
  readonly horizontal: Random;
  readonly registry: Random;
  /** While it runs. */
  readonly provisioning: Random;
}

export function drawOptions(
  { random, vertical, truncation, horizontal, registry }: Draws,
  overrides: Overrides,
): Options {
  const subject = overrides.subject ?? (random.chance(0.2) ? "registry" : "ledger");
  const drawn = subject === "registry" ? REGISTRY_GEOMETRY : random.pick(GEOMETRIES);
  const lanes = overrides.lanes ?? drawn.lanes;
  const name = random.pick(Object.keys(QUORUMS));
  const isTruncating = overrides.truncation ?? truncation.chance(TRUNCATION);
  const mayBeVertical = subject === "ledger" && (overrides.horizontal ?? "no") === "no";
  const isVertical = overrides.vertical ?? (vertical.chance(VERTICAL) && mayBeVertical);
  const isLogged = isVertical && (overrides.logged ?? registry.chance(LOGGED));
  const form = overrides.horizontal ?? drawForm(horizontal);
  const isHorizontal = !isVertical && form !== "no";
  const quorums = quorumsNamed(overrides.quorums ?? (subject === "registry" ? "majority3" : name));
  return {
    subject,
    geometry: { lanes, chunkSlots: overrides.chunkSlots ?? Math.min(lanes, drawn.chunkSlots) },
    quorums: isHorizontal && quorums.witnesses.length > 0 ? majority(quorums.acceptors) : quorums,
    processes: 2 + random.below(3),
    clients: 1 + random.below(8),
    rates: drawRates(random, new Set(overrides.stress)),
    ...(isVertical && { vertical: drawVerticalRates(vertical) }),
    ...(isHorizontal && { horizontal: drawHorizontal(horizontal, form, lanes, overrides.alpha) }),
    ...(isTruncating && { truncation: drawTruncation(truncation) }),
    ...(isLogged && { registry: drawRegistry(registry) }),
    events: (overrides.events ?? 3_000 + random.below(5_000)) * (isLogged ? LOGGED_EVENTS : 1),
    doomed: random.chance(0.1),
    thinkMs: random.pick([1, 5, 20]),
  };
}

function drawRates(random: Random, stressed: ReadonlySet<keyof Rates>): Rates {
  const rates = Object.entries(RATES_MAX).map(([name, most]) => {
    const isLeftOut = random.chance(LEFT_OUT);
    const rate = most * random.fraction();
    if (stressed.has(name as keyof Rates)) return [name, most];
    return [name, isLeftOut ? 0 : rate];
  });
  return Object.fromEntries(rates) as Rates;
}

/** Without clients of its own: who reconfigures asks it. */
function drawRegistry(random: Random): Options {
  const form = random.pick(["epoch", "alpha"] as const);
  return {
    subject: "registry",
    geometry: REGISTRY_GEOMETRY,
    quorums: quorumsNamed("majority3"),
    processes: 2 + random.below(2),
    clients: 0,
    rates: drawRates(random, new Set()),
    horizontal: drawHorizontal(random, form, REGISTRY_GEOMETRY.lanes),
    ...(random.chance(TRUNCATION) && { truncation: drawTruncation(random) }),
    events: 0,
    doomed: false,
    thinkMs: 0,
  };
}

function drawTruncation(random: Random): TruncationRates {
  return {
    truncate: TRUNCATE_MAX * random.fraction(),
    late: LATE_MAX * random.fraction(),
    partBytes: random.pick(PART_BYTES),
  };
}

function drawVerticalRates(random: Random): VerticalRates {
  const rates = Object.entries(VERTICAL_RATES_MAX).map(([name, most]) => [name, most * random.fraction()]);
  return Object.fromEntries(rates) as VerticalRates;
}

function drawForm(random: Random): Form {
  if (!random.chance(HORIZONTAL)) return "no";
  return random.chance(0.5) ? "epoch" : "alpha";
}

/** α at its bounds as often as between them. */
function drawHorizontal(random: Random, form: Form, lanes: number, fixed?: number): HorizontalOptions {
  const alpha = fixed ?? random.pick([1, lanes, 1 + random.below(lanes)]);
  return {
    ...drawVerticalRates(random),
    wrongExpect: WRONG_EXPECT_MAX * random.fraction(),
    ...(form === "alpha" && { alpha }),
  };
}

const A = (...indexes: number[]): AcceptorId[] => indexes.map((index) => `t${index}` as AcceptorId);

function spec(acceptors: number, read: Family, write: Family, witnesses: AcceptorId[] = []): QuorumSpec {
  return { acceptors: A(...Array(acceptors).keys()), witnesses, read, write };
}

/** Majorities, flexible thresholds, weights, grids, and configurations with witnesses. */
const QUORUMS: Readonly<Record<string, QuorumSpec>> = {
  single: majority(A(0)),
  majority3: majority(A(0, 1, 2)),
  majority5: majority(A(0, 1, 2, 3, 4)),
  readOneWriteAll2: spec(2, { atLeast: 1 }, { atLeast: 2 }),
  readOneWriteAll3: spec(3, { atLeast: 1 }, { atLeast: 3 }),
  readTwoWriteThree: spec(4, { atLeast: 2 }, { atLeast: 3 }),
  readThreeWriteTwo: spec(4, { atLeast: 3 }, { atLeast: 2 }),
  weighted: spec(3, { atLeast: 2, weights: { t0: 2 } }, { atLeast: 3, weights: { t0: 2 } }),
  weightedMajority: spec(4, { atLeast: 3, weights: { t0: 2 } }, { atLeast: 3, weights: { t0: 2 } }),
  grid2x2: spec(4, { sets: [A(0, 1), A(2, 3)] }, { sets: [A(0, 2), A(0, 3), A(1, 2), A(1, 3)] }),
  grid2x3: spec(6, { sets: [A(0, 1, 2), A(3, 4, 5)] }, { sets: [A(0, 3), A(1, 4), A(2, 5)] }),
  witness2and1: spec(3, { atLeast: 2 }, { atLeast: 2 }, A(2)),
  witness3and2: spec(5, { atLeast: 3 }, { atLeast: 3 }, A(3, 4)),
  witnessRead3Write2: spec(4, { atLeast: 3 }, { atLeast: 2 }, A(3)),
  witnessRead2Write3: spec(4, { atLeast: 2 }, { atLeast: 3 }, A(3)),
};

/** One of the quorum systems above that have no witnesses, with other acceptors in place of its own. */
export function drawFullQuorums(
  random: Random,
  acceptors: (count: number) => readonly AcceptorId[],
): QuorumSpec {
  const full = Object.values(QUORUMS).filter(({ witnesses }) => witnesses.length === 0);
  return renamed(random.pick(full), acceptors);
}

/** One of the quorum systems above, with other acceptors in place of its own. */
export function drawQuorums(random: Random, acceptors: (count: number) => readonly AcceptorId[]): QuorumSpec {
  return renamed(random.pick(Object.values(QUORUMS)), acceptors);
}

function renamed(spec: QuorumSpec, acceptors: (count: number) => readonly AcceptorId[]): QuorumSpec {
  const chosen = acceptors(spec.acceptors.length);
  const text = JSON.stringify(spec).replace(/"t(\d+)"/g, (_, index) => JSON.stringify(chosen[Number(index)]));
  return JSON.parse(text) as QuorumSpec;
}

export function quorumsNamed(name: string): QuorumSpec {
  const found = QUORUMS[name];
  if (found === undefined)
    throw new RangeError(`no quorums named ${name}; there are ${Object.keys(QUORUMS)}`);
  return found;
}
