/**
 * Ports for the parts. A part that was restarted must find its port free, so ports come from below the
 * ranges from which operating systems hand out ports by themselves (Linux from 32768, others from 49152).
 */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { Unavailable } from "../../shared/errors.ts";

const PORT_MIN = 15_000;
const PORT_MAX = 32_000;
const ATTEMPTS_MAX = 100;

/** @throws Unavailable in a sentence, when somebody listens on it. */
export async function assertPortFree(port: number): Promise<void> {
  const code = await bindingError(port);
  if (code === undefined) return;
  const why = code === "EADDRINUSE" ? "is in use" : `cannot be had (${code})`;
  throw new Unavailable(
    "unavailable",
    `port ${port} ${why}: stop what listens there, or choose another --port`,
  );
}

/** `count` ports, all different and free now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; ports.size < count; attempt++) {
    if (attempt === ATTEMPTS_MAX) throw new Unavailable("unavailable", "no free port was found: try again");
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (!ports.has(port) && (await isPortFree(port))) ports.add(port);
  }
  return [...ports];
}

export async function isPortFree(port: number): Promise<boolean> {
  return (await bindingError(port)) === undefined;
}

/** The code of the error with which the port refuses; undefined: it may be had. */
async function bindingError(port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    server.close();
    await once(server, "close");
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unknown";
  }
}
