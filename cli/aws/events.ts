/** What `theseus aws local` tells, as data: with --json each of these is one line. */
import { styleText } from "node:util";
import type { PartEvent } from "../dev/child.ts";
import { lineOf, partText } from "../dev/print.ts";

export type LocalEvent =
  | PartEvent
  /** What is begun. */
  | { readonly event: "step"; readonly step: string }
  /** It is tried again. */
  | { readonly event: "trouble"; readonly why: string }
  /** Everything is up. */
  | {
      readonly event: "ready";
      readonly url: string;
      readonly emulator: string;
      readonly stack: string;
      readonly region: string;
      readonly machines: readonly string[];
    }
  | { readonly event: "stopping"; readonly signal: string };

export function jsonOf({ event, ...rest }: LocalEvent): string {
  return JSON.stringify({ event, time: new Date().toISOString(), ...rest });
}

export function textOf(event: LocalEvent): string {
  switch (event.event) {
    case "step":
      return partText("aws", `${event.step} …`);
    case "trouble":
      return partText("aws", styleText("yellow", `${event.why}; it is tried again`));
    case "ready":
      return welcome(event);
    default:
      return lineOf(event);
  }
}

/** The command is empty on purpose: whatever the machine, its schema's complaint says what it takes. */
function welcome({
  url,
  emulator,
  stack,
  region,
  machines,
}: Extract<LocalEvent, { event: "ready" }>): string {
  const [machine] = machines;
  return `
${styleText("bold", `Theseus is ready at ${url}`)}
It is the stack ${stack} on an emulator of AWS, which forgets everything when it stops: Ctrl-C.

  curl ${url}/v1/machines/${machine}/main/commands -H 'content-type: application/json' -d '{"command":{}}'

answers with the commands that ${machine} takes; put one of them in the place of {}. The emulator itself:

  export AWS_ENDPOINT_URL=${emulator} AWS_REGION=${region} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
`;
}
