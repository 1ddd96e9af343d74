/** The events of `theseus dev` for a reader: a program gets JSON lines, a person gets words. */
import { styleText } from "node:util";
import type { DevEvent } from "./events.ts";

export function jsonOf({ event, ...rest }: DevEvent): string {
  return JSON.stringify({ event, time: new Date().toISOString(), ...rest });
}

export function textOf(event: DevEvent): string {
  return event.event === "ready" ? welcome(event) : lineOf(event);
}

const PART_WIDTH = 11;

export function lineOf(event: Exclude<DevEvent, { event: "ready" }>): string {
  return partText("part" in event ? event.part : "dev", wordsOf(event));
}

export function partText(part: string, words: string): string {
  const time = new Date().toTimeString().slice(0, "hh:mm:ss".length);
  // Without a terminal, or where NO_COLOR is set, styleText changes nothing.
  return `${styleText("dim", time)}  ${styleText("cyan", part.padEnd(PART_WIDTH))}  ${words}`;
}

function wordsOf(event: Exclude<DevEvent, { event: "ready" }>): string {
  switch (event.event) {
    case "started":
      return `started as process ${event.pid} at ${event.url}`;
    case "restarted":
      return `started again as process ${event.pid} at ${event.url}`;
    case "died":
      return styleText("red", `died (${event.signal ?? `exit code ${event.code}`}); it is started again`);
    case "stopped":
      return "stopped";
    case "logged":
      return loggedWords(event.line);
    case "tableMissing":
      return styleText("yellow", `${event.location} is not there: acceptor ${event.acceptor} is lost`);
    case "stopping":
      return `stopping (${event.signal}); a second one stops at once`;
  }
}

function loggedWords({ msg, event, err }: Readonly<Record<string, unknown>>): string {
  const words = [msg ?? event].filter((word) => word !== undefined).map(String);
  const { message } = (err ?? {}) as { message?: unknown };
  if (typeof message === "string" && message !== msg) words.push(message);
  return words.join(": ");
}

/** The command is empty on purpose: whatever the machine, its schema's complaint says what it takes. */
function welcome({ url, dir, machines }: Extract<DevEvent, { event: "ready" }>): string {
  const [machine] = machines;
  return `
${styleText("bold", `Theseus is ready at ${url}`)}
Its state is kept in ${dir}: stop with Ctrl-C, and the same command goes on from there.

  curl ${url}/v1/machines/${machine}/main/commands -H 'content-type: application/json' -d '{"command":{}}'

answers with the commands that ${machine} takes; put one of them in the place of {}.
`;
}
