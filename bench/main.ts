/**
 * `npm run bench -- NAME`: each benchmark prints a table and a verdict, with the machine and versions. Sides are
 * interleaved in one run and compared as ratios of medians: these machines are shared, absolute times are not.
 */
import { cpus, release, totalmem } from "node:os";
import { coldStart } from "./cold-start.ts";
import { commit } from "./commit.ts";
import { copy } from "./copy.ts";
import { failover } from "./failover.ts";
import { manyMachines } from "./many-machines.ts";
import { reconfigure } from "./reconfigure.ts";
import { repair } from "./repair.ts";
import { writeUnits } from "./write-units.ts";

const BENCHMARKS: Readonly<Record<string, () => Promise<void>>> = {
  "cold-start": coldStart,
  commit,
  copy,
  failover,
  reconfigure,
  repair,
  "many-machines": manyMachines,
  "write-units": writeUnits,
};

const names = process.argv.slice(2);
const unknown = names.find((name) => BENCHMARKS[name] === undefined);
if (names.length === 0 || unknown !== undefined) {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(BENCHMARKS).join(" | ")}\n`);
  process.exit(2);
}
const memoryGiB = Math.round(totalmem() / 2 ** 30);
console.log(
  `${cpus().length} × ${cpus()[0]?.model}, ${memoryGiB} GiB, Linux ${release()}, Node ${process.version}`,
);
for (const name of names) await BENCHMARKS[name]?.();
