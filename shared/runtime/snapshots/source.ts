/**
 * Where a machine's code is, for a thread that loads it once more. It must be the code that the leader executes: a
 * file that was edited since then would make a snapshot of a state that nobody was ever in. Of what the file imports
 * nothing is known.
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { MachineDefinition } from "../../machine.ts";
import { loadMachines } from "../load-machines.ts";
import { sha256 } from "../ports-production.ts";

export interface Source {
  /** An absolute path. */
  readonly file: string;
  readonly digest: string;
}

/** To be asked for when the machines are loaded. `file`: relative to the working directory. */
export async function sourceOf(file: string): Promise<Source> {
  const path = resolve(file);
  return { file: path, digest: sha256(await readFile(path, "utf8")) };
}

/** @throws Error when the file is not what it was, or has no such machine. */
export async function loadFrom({ file, digest }: Source, name: string): Promise<MachineDefinition> {
  const definition = (await loadMachines(file)).get(name);
  if ((await sourceOf(file)).digest !== digest)
    throw new Error(`${file} was changed since its machines were loaded: start the leaders again`);
  if (definition === undefined) throw new Error(`${file} exports no machine of the name ${name}`);
  return definition;
}
