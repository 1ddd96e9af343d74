/** MiniStack: many services of AWS in one small process, in memory. */
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { cached, type Emulator, program, startEmulator } from "./emulator.ts";

const VERSION = "1.5.33";
const NEEDS =
  "MiniStack, the emulator of AWS, needs Python 3 with pip and venv (Debian and Ubuntu: apt-get install python3-venv)";

export interface MinistackOptions {
  readonly port: number;
  /** Where it is installed, once. */
  readonly cache: string;
  /** A folder of this run's own, for what functions leave behind. */
  readonly home: string;
}

/** @throws Unavailable, saying what is missing. */
export async function startMinistack({ port, cache, home }: MinistackOptions): Promise<Emulator> {
  const folder = join(cache, `ministack-${VERSION}`);
  await cached(folder, async (into) => {
    await program(NEEDS, ["python3", "-m", "venv", into]);
    await program(NEEDS, [join(into, "bin", "pip"), "install", "--quiet", `ministack==${VERSION}`]);
  });
  return startEmulator({
    name: "MiniStack",
    port,
    command: [join(folder, "bin", "ministack")],
    env: {
      ...ownFolder(home),
      PATH: pathWithThisNode(),
      GATEWAY_PORT: String(port),
      BIND_HOST: "127.0.0.1",
      SFTP_ENABLED: "0",
      IOT_MTLS_ENABLED: "0",
      LOG_LEVEL: "WARNING",
    },
  });
}

/** Functions run as children with the emulator's whole environment, on whatever `node` they find first. */
function pathWithThisNode(): string {
  return [dirname(process.execPath), process.env.PATH].join(delimiter);
}

/** Below a package of type "module" the emulator's own Node script, which is CommonJS, would not start. */
function ownFolder(home: string): { readonly HOME: string; readonly TMPDIR: string } {
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), '{"type":"commonjs"}\n');
  return { HOME: home, TMPDIR: home };
}
