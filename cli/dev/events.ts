/** What `theseus dev` tells, as data: with --json each of these is one line. */
import type { PartEvent } from "./child.ts";

export type DevEvent =
  | PartEvent
  /** An acceptor is lost: its file is not there. The deployment goes on without it. */
  | { readonly event: "tableMissing"; readonly acceptor: string; readonly location: string }
  /** Everything is up. */
  | {
      readonly event: "ready";
      readonly url: string;
      readonly dir: string;
      readonly machines: readonly string[];
    }
  | { readonly event: "stopping"; readonly signal: string };
