/**
 * Runs the simulator: `main.ts [--from A] [--seeds N]`; `main.ts --seed S --trace` for one run step by step;
 * `main.ts --scenario NAME [--trace]` for a scripted one.
 * Ends with 1 at the first violation, having printed the command that replays it.
 */
import { parseArgs } from "node:util";
import { Coverage, FAULTS, type Fault } from "./faults.ts";
import type { Form, Overrides, Rates, SubjectName } from "./options.ts";
import { type Outcome, run } from "./run.ts";
import { SCENARIOS } from "./scenarios.ts";
import { Violation } from "./violation.ts";

const { values: flags } = parseArgs({
  options: {
    from: { type: "string", default: "1" },
    seeds: { type: "string", default: "2000" },
    seed: { type: "string" },
    scenario: { type: "string" },
    trace: { type: "boolean", default: false },
    subject: { type: "string" },
    lanes: { type: "string" },
    chunk: { type: "string" },
    quorums: { type: "string" },
    events: { type: "string" },
    stress: { type: "string" },
    vertical: { type: "string" },
    horizontal: { type: "string" },
    alpha: { type: "string" },
    truncation: { type: "string" },
    logged: { type: "string" },
  },
});

/** How often a long run says that it is still at it. */
const PROGRESS_SEEDS = 10_000;

function overridesOf(): Overrides {
  const { subject, lanes, chunk, quorums, events, stress, vertical, truncation, horizontal, alpha, logged } =
    flags;
  return {
    ...(subject !== undefined && { subject: subject as SubjectName }),
    ...(lanes !== undefined && { lanes: Number(lanes) }),
    ...(chunk !== undefined && { chunkSlots: Number(chunk) }),
    ...(quorums !== undefined && { quorums }),
    ...(events !== undefined && { events: Number(events) }),
    ...(vertical !== undefined && { vertical: vertical === "yes" }),
    ...(horizontal !== undefined && { horizontal: horizontal as Form }),
    ...(alpha !== undefined && { alpha: Number(alpha) }),
    ...(truncation !== undefined && { truncation: truncation === "yes" }),
    ...(logged !== undefined && { logged: logged === "yes" }),
    ...(stress !== undefined && { stress: stress.split(",") as (keyof Rates)[] }),
  };
}

const FLAGS = [
  "subject",
  "lanes",
  "chunk",
  "quorums",
  "events",
  "stress",
  "vertical",
  "truncation",
  "logged",
  "horizontal",
  "alpha",
] as const;

/** The flags that make this run what it is, as they were given. */
function replayOf({ seed }: Outcome): string {
  const given = FLAGS.filter((name) => flags[name] !== undefined).map((name) => ` --${name} ${flags[name]}`);
  return `node --conditions=source test/simulator/main.ts --seed ${seed}${given.join("")} --trace`;
}

function report(outcome: Outcome, violation: Violation): void {
  const { seed, options } = outcome;
  process.exitCode = 1;
  console.log(`seed ${seed}: ${violation.check}: ${violation.message}`);
  if (violation.cause instanceof Error) console.log(violation.cause.stack);
  console.log(`options: ${JSON.stringify(options)}`);
  console.log(`replay: ${replayOf(outcome)}`);
}

function printCoverage(coverage: Coverage): void {
  for (const fault of Object.keys(FAULTS) as Fault[])
    console.log(`${String(coverage.count(fault)).padStart(9)}  ${fault}: ${FAULTS[fault]}`);
}

function runSeeds(from: number, seeds: number): void {
  const coverage = new Coverage();
  const began = performance.now();
  let [events, slots] = [0, 0];
  console.log(`seeds ${from} to ${from + seeds - 1}`);
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = run(seed, overridesOf(), trace);
    coverage.add(outcome.coverage);
    events += outcome.events;
    slots += outcome.slots;
    if (outcome.violation !== undefined) return report(outcome, outcome.violation);
    if ((seed - from + 1) % PROGRESS_SEEDS === 0) console.log(`${seed - from + 1} seeds, no violation`);
  }
  const seconds = (performance.now() - began) / 1_000;
  printCoverage(coverage);
  console.log(
    `${seeds} seeds, ${events} events, ${slots} slots chosen, no violation; ` +
      `${(seeds / seconds).toFixed(1)} seeds/s, ${Math.round(events / seconds)} events/s`,
  );
}

function runScenario(name: string): void {
  const scenario = SCENARIOS[name];
  if (scenario === undefined)
    throw new RangeError(`no scenario named ${name}; there are ${Object.keys(SCENARIOS)}`);
  try {
    scenario(trace);
    console.log(`scenario ${name}: no violation`);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    console.log(`scenario ${name}: ${error.check}: ${error.message}`);
    process.exitCode = 1;
  }
}

const trace = flags.trace ? (line: string): void => console.log(line) : undefined;
if (flags.scenario !== undefined) runScenario(flags.scenario);
else if (flags.seed !== undefined) runSeeds(Number(flags.seed), 1);
else runSeeds(Number(flags.from), Number(flags.seeds));
