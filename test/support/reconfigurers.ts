/** Processes that reconfigure a deployment's bank beside its leaders, each of which is killed at one step of it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { NODE_FLAGS } from "./cli.ts";
import type { TestDeployment } from "./deployment.ts";

/** In the order in which a reconfiguration comes to them. */
export const STEPS = [
  /** The registry has granted the proposal. */
  "proposed",
  /** One table has the new cells. */
  "founding",
  /** All have. */
  "founded",
  /** There are endorsements enough. */
  "endorsed",
  /** One new table has got chunks, and its Head does not say so yet. */
  "copying",
  /** Its Head does. */
  "raising",
  /** One table has ended the old ballots. */
  "fencing",
  /** All have. */
  "fenced",
  /** One table has the tail's votes. */
  "voting",
  /** All have, and the registry has not been told. */
  "transferred",
  /** It is being told. */
  "completing",
  /** It has activated the configuration, and nobody has heard of it. */
  "completed",
] as const;
export type Step = (typeof STEPS)[number];

const RECONFIGURER = fileURLToPath(new URL("./reconfigurer.ts", import.meta.url));

export class Reconfigurers {
  readonly #deployment: TestDeployment;
  /** What takes long is loaded beforehand. */
  #next: ChildProcess;

  constructor(deployment: TestDeployment) {
    this.#deployment = deployment;
    this.#next = this.#start();
  }

  /** Where it was when it was killed: at this step, or at a later one if there was nothing to do at this one. */
  async killOne(step: Step): Promise<Step> {
    const child = this.#next;
    this.#next = this.#start();
    child.send(step);
    const [reached, [code, signal]] = await Promise.all([
      text(child.stdout as NodeJS.ReadableStream & AsyncIterable<Buffer>),
      once(child, "exit"),
    ]);
    if (signal !== "SIGKILL") throw new Error(`a reconfigurer ended by itself, with code ${code}`);
    return reached as Step;
  }

  stop(): void {
    this.#next.kill();
  }

  #start(): ChildProcess {
    const { dir } = this.#deployment;
    const args = [...NODE_FLAGS, RECONFIGURER, this.#deployment.addressOf("registry"), dir];
    return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  }
}
