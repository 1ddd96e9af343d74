/** Imports a user's file and finds the machines that it exports. */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Invalid } from "../errors.ts";
import { isMachineDefinition, type MachineDefinition } from "../machine.ts";

/**
 * The machines by name. `file` is a path, relative to the working directory.
 * @throws Invalid "invalid_request" when the file is missing, its import fails, it exports no machine, or two
 * of one name.
 */
export async function loadMachines(file: string): Promise<ReadonlyMap<string, MachineDefinition>> {
  const path = resolve(file);
  if (!(await isFile(path))) throw new Invalid("invalid_request", `there is no file ${path}`);
  const machines = new Map<string, MachineDefinition>();
  for (const exported of Object.values(await importFile(path))) {
    if (!isMachineDefinition(exported)) continue;
    const known = machines.get(exported.name);
    // One definition may be exported twice, by its name and as the default.
    if (known !== undefined && known !== exported)
      throw new Invalid("invalid_request", `${path} exports two machines of the name ${exported.name}`);
    machines.set(exported.name, exported);
  }
  if (machines.size === 0)
    throw new Invalid(
      "invalid_request",
      `${path} exports no machine: write \`export const bank = defineMachine({ … })\``,
    );
  return machines;
}

async function importFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await import(pathToFileURL(path).href);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Invalid("invalid_request", `${path} cannot be imported: ${message}`, { cause });
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
