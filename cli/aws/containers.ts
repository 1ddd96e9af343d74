/**
 * A task's containers as processes of this machine, without Docker: what a container mounts is a folder of the task's
 * own, in whose place its commands name it.
 */
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ContainerDefinition, TaskDefinition } from "@aws-sdk/client-ecs";
import { Unavailable } from "../../shared/errors.ts";
import { EMULATOR_REGION } from "./where.ts";

export interface LocalTask {
  /** Its ARN. */
  readonly id: string;
  /** Of its own, for what its containers mount. */
  readonly folder: string;
  /** The emulator's address. */
  readonly emulator: string;
  /** Where its leader is to listen. */
  readonly port: number;
}

/** A container's command, as a process of this machine. */
export interface Command {
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * MiniStack takes the encryption from what functions ask of 127.0.0.1 and of localhost, so leaders, whose certificates are
 * pinned, have to be called otherwise. Only Linux has all of 127/8.
 */
const HOST = process.platform === "linux" ? "127.0.0.2" : "::1";
const IS_SOURCE = import.meta.url.endsWith(".ts");
const run = promisify(execFile);

/** Runs what comes before the main container. @throws Unavailable with what it said. */
export async function prepare(
  { containerDefinitions = [] }: TaskDefinition,
  task: LocalTask,
): Promise<Command> {
  const main = containerDefinitions.find(({ essential }) => essential !== false);
  if (main === undefined)
    throw new Unavailable("unavailable", "the task definition has no essential container");
  // The main one depends on the others; an emulator may not tell of that.
  for (const container of containerDefinitions) if (container !== main) await runToItsEnd(container, task);
  const { command, env } = commandOf(main, task);
  return {
    command,
    env: { ...env, THESEUS_TASK: task.id, THESEUS_ADDRESS: HOST, THESEUS_PORT: String(task.port) },
  };
}

async function runToItsEnd(container: ContainerDefinition, task: LocalTask): Promise<void> {
  const { command, env } = commandOf(container, task);
  const [file, ...args] = command;
  try {
    await run(file, args, { env });
  } catch (cause) {
    throw new Unavailable(
      "unavailable",
      `the container ${container.name} failed: ${(cause as { stderr?: string }).stderr || (cause as Error).message}`,
      { cause },
    );
  }
}

function commandOf(container: ContainerDefinition, task: LocalTask): Command {
  const { entryPoint = [], command = [], environment = [] } = container;
  const here = mounted(container, task);
  const [file, ...args] = [...entryPoint, ...command].map(here);
  if (file === undefined)
    throw new Unavailable(
      "unavailable",
      `the container ${container.name} has no command of its own: an image cannot be run here without Docker`,
    );
  const own = environment.map(({ name = "", value = "" }) => [name, here(value)]);
  return {
    command: [file === "node" ? process.execPath : file, ...args],
    env: { ...surroundings(task), ...Object.fromEntries(own) },
  };
}

/** Puts the task's own folders in the place of those that the container mounts. */
function mounted({ mountPoints = [] }: ContainerDefinition, { folder }: LocalTask): (text: string) => string {
  const mounts = mountPoints.map(({ sourceVolume = "", containerPath = "" }) => {
    const here = join(folder, sourceVolume);
    mkdirSync(here, { recursive: true });
    const path = containerPath.replaceAll(/\W/g, "\\$&");
    return { here, pattern: new RegExp(`(?<![\\w./-])${path}(?![\\w.-])`, "g") };
  });
  return (text) => mounts.reduce((result, { here, pattern }) => result.replaceAll(pattern, () => here), text);
}

/** What a container finds on AWS: a Region, credentials, and the AWS CLI where its image has one. */
function surroundings({ folder, emulator }: LocalTask): NodeJS.ProcessEnv {
  return {
    PATH: [awsCommand(folder), dirname(process.execPath), process.env.PATH].join(delimiter),
    HOME: folder,
    TMPDIR: folder,
    AWS_ENDPOINT_URL: emulator,
    AWS_REGION: EMULATOR_REGION,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
  };
}

/** The folder of a command `aws`. */
function awsCommand(folder: string): string {
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  const script = fileURLToPath(new URL(`./aws-command.${IS_SOURCE ? "ts" : "js"}`, import.meta.url));
  writeFileSync(join(bin, "aws"), `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, {
    mode: 0o755,
  });
  return bin;
}
