/** Where what was fetched once is kept, as the operating system has it. */
import { homedir } from "node:os";
import { join } from "node:path";

export function cacheFolder(environment = process.env, platform = process.platform): string {
  const { XDG_CACHE_HOME } = environment;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "theseus");
  const folder = platform === "darwin" ? ["Library", "Caches"] : [".cache"];
  return join(homedir(), ...folder, "theseus");
}
