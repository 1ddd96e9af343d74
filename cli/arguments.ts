/** The command line's words as values; a word that is none is a usage error that says what was expected. */
import { InvalidArgumentError } from "commander";
import {
  COMMAND_BYTES_MAX,
  INSTANCE_ID_PATTERN,
  KEY_PATTERN,
  MACHINE_NAME_PATTERN,
} from "../shared/limits.ts";
import type { Threshold } from "../shared/protocol/endorsement.ts";

export interface Address {
  readonly machine: string;
  readonly id: string;
}

const PORT_MAX = 65_535;
/** Each is a process of some 60 MB; two do, a third outlives two deaths at once. */
const LEADERS_MAX = 16;
/** A machine has three; beyond what a disk and two cores can use, more help nobody. */
const TABLES_MIN = 3;
const TABLES_MAX = 32;
/** PROTOCOL §6: a configuration has at most so many. */
const ACCEPTORS_MAX = 15;
const REGIONS_MAX = 15;
const COMMANDS_PER_SECOND_MAX = 1_000_000;
/** More often would cost more than the log that is saved. */
const SNAPSHOT_SLOTS_MIN = 64;

export function address(text: string): Address {
  const [machine = "", id = "", ...rest] = text.split("/");
  if (!MACHINE_NAME_PATTERN.test(machine) || !INSTANCE_ID_PATTERN.test(id) || rest.length > 0)
    throw new InvalidArgumentError("Write a machine's name and an id, as in bank/main.");
  return { machine, id };
}

export function leader(text: string): string {
  if (!INSTANCE_ID_PATTERN.test(text)) throw new InvalidArgumentError("Write a leader's id, as in leader-1.");
  return text;
}

export function ids(text: string): readonly string[] {
  const each = text.split(",");
  if (each.includes("")) throw new InvalidArgumentError("It must be ids with commas between.");
  return each;
}

export function folder(text: string): string {
  if (text === "") throw new InvalidArgumentError("Name a folder.");
  return text;
}

export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`It must be JSON: ${(error as Error).message}.`);
  }
}

/** So that a plain word needs no quotes within quotes. */
export function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function serverUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new InvalidArgumentError("Write an http URL, as in http://127.0.0.1:7707.");
  return url.origin;
}

export function key(text: string): string {
  if (!KEY_PATTERN.test(text)) throw new InvalidArgumentError("Write 1 to 255 visible ASCII characters.");
  return text;
}

export function port(text: string): number {
  return wholeNumber(text, 0, PORT_MAX);
}

export function leaderCount(text: string): number {
  return wholeNumber(text, 1, LEADERS_MAX);
}

export function tableCount(text: string): number {
  return wholeNumber(text, TABLES_MIN, TABLES_MAX);
}

export function spareCount(text: string): number {
  return wholeNumber(text, 0, TABLES_MAX);
}

export function endorsements(text: string): Threshold {
  return text === "auto" ? text : wholeNumber(text, 1, LEADERS_MAX);
}

export function snapshotSlots(text: string): number {
  return wholeNumber(text, SNAPSHOT_SLOTS_MIN, Number.MAX_SAFE_INTEGER);
}

export function acceptorCount(text: string): number {
  return wholeNumber(text, 1, ACCEPTORS_MAX);
}

export function regionCount(text: string): number {
  return wholeNumber(text, 1, REGIONS_MAX);
}

export function rate(text: string): number {
  return wholeNumber(text, 1, COMMANDS_PER_SECOND_MAX);
}

export function commandBytes(text: string): number {
  return wholeNumber(text, 1, COMMAND_BYTES_MAX);
}

export function slotNumber(text: string): number {
  return wholeNumber(text, 1, Number.MAX_SAFE_INTEGER);
}

function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}.`);
  return value;
}
