/** MiniStack: many services of AWS in one small process, in memory. */
import { join } from "node:path";
import { cached, type Emulator, program, startEmulator } from "./emulator.ts";

const VERSION = "1.5.33";
const NEEDS = "MiniStack needs Python 3 with pip and venv: python3-venv";

export async function startMinistack(port: number): Promise<Emulator> {
  const folder = await cached(`ministack-${VERSION}`, async (into) => {
    await program(NEEDS, ["python3", "-m", "venv", into]);
    await program(NEEDS, [join(into, "bin", "pip"), "install", "--quiet", `ministack==${VERSION}`]);
  });
  return startEmulator({
    name: "MiniStack",
    port,
    command: [join(folder, "bin", "ministack")],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      GATEWAY_PORT: String(port),
      BIND_HOST: "127.0.0.1",
      SFTP_ENABLED: "0",
    },
  });
}
