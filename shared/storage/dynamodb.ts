/**
 * The DynamoDB adapter of the acceptor port. Each verb is one request; a list of them goes out in parallel, over the
 * sockets of this table alone, so that a slow table holds up no other.
 *
 * Where the reply is missing, or says anything but that the condition does not hold, the outcome is unknown. A table
 * that is not there, or is not the one that the registry has on record, is lost for good: one born anew, or restored,
 * has forgotten what it promised, and no condition of a write would notice (PROTOCOL §11). That is looked at before the
 * first verb, whenever a cell or Head is missing, and beside the promises with which somebody starts to lead.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { type AwsPlace, awsClient } from "../aws/clients.ts";
import { GONE, type Outcome, UNKNOWN, type Verb } from "../protocol/acceptor.ts";
import type { MachineId } from "../protocol/configuration.ts";
import { describe, kindOf, meaningOf } from "./dynamodb-error.ts";
import { whyTooLarge } from "./dynamodb-items.ts";
import { incarnationNow } from "./dynamodb-table.ts";
import { say } from "./dynamodb-verbs.ts";
import type { AcceptorStore } from "./store.ts";

export {
  beginDynamodbTable,
  createDynamodbTable,
  deleteDynamodbTable,
  findIncarnation,
  incarnationOf,
  type NewTable,
  type TableRecord,
} from "./dynamodb-table.ts";

/** While a table does not answer, what waits for it must not fill the memory: beyond this it is unknown at once. */
const VERBS_UNDER_WAY_MAX = 2_000;
/** Whoever takes over a thousand machines need not look a thousand times. */
const BETWEEN_LOOKS_MS = 10_000;
/** A leader change waits no longer for what AWS only describes tables with. */
const LOOK_MS_MAX = 500;

/** @throws RangeError for an endpoint that is not on this machine (aws/clients.ts). */
export function dynamodbClient(region: string, place: AwsPlace): DynamoDBClient {
  return awsClient(DynamoDBClient, region, place);
}

/**
 * The table that was born as `incarnation`. The store ends the client when it is closed. `warn` is told, in a sentence
 * for a person, why outcomes are `GONE`, and what keeps them unknown if it will not pass by itself.
 */
export function dynamodbStore(
  table: string,
  incarnation: string,
  client: DynamoDBClient,
  warn: (sentence: string) => void = emitWarning,
): AcceptorStore {
  return new DynamodbStore(table, incarnation, client, warn);
}

class DynamodbStore implements AcceptorStore {
  readonly #table: string;
  readonly #incarnation: string;
  readonly #client: DynamoDBClient;
  readonly #warn: (sentence: string) => void;
  readonly #underWay = new Set<Promise<Outcome>>();
  #state: "unopened" | "open" | "lost" = "unopened";
  /** A look at the incarnation that is under way: whoever wants one meanwhile shares it. */
  #look: Promise<void> | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #trouble = "";
  #closed: Promise<void> | undefined;

  constructor(table: string, incarnation: string, client: DynamoDBClient, warn: (sentence: string) => void) {
    this.#table = table;
    this.#incarnation = incarnation;
    this.#client = client;
    this.#warn = warn;
  }

  execute(machine: MachineId, verbs: readonly Verb[]): Promise<readonly Outcome[]> {
    return Promise.all(verbs.map((verb) => this.#execute(machine, verb)));
  }

  close(): Promise<void> {
    this.#closed ??= this.#stop();
    return this.#closed;
  }

  async #execute(machine: MachineId, verb: Verb): Promise<Outcome> {
    if (this.#state === "lost") return GONE;
    if (this.#closed !== undefined || this.#underWay.size >= VERBS_UNDER_WAY_MAX) return UNKNOWN;
    const outcome = this.#say(machine, verb).catch((error: unknown) => this.#failed(error));
    this.#underWay.add(outcome);
    try {
      return await outcome;
    } finally {
      this.#underWay.delete(outcome);
    }
  }

  async #say(machine: MachineId, verb: Verb): Promise<Outcome> {
    const tooLarge = whyTooLarge(machine, verb);
    if (tooLarge !== undefined) throw new RangeError(tooLarge);
    if (this.#state === "unopened") await this.#lookAtIncarnation();
    if (this.#isLost()) return GONE;
    const look = verb.verb === "promise" ? this.#lookNowAndThen() : undefined;
    const outcome = await say(this.#client, this.#table, machine, verb);
    await look;
    const isMissing = outcome.outcome === "refused" && outcome.by === undefined;
    if (isMissing) await this.#lookAtIncarnation();
    // Also when another verb found it lost meanwhile: what a strange table answered counts for nothing.
    return this.#isLost() ? GONE : outcome;
  }

  #isLost(): boolean {
    return this.#state === "lost";
  }

  /** Without an answer it goes on. */
  async #lookNowAndThen(): Promise<void> {
    if (performance.now() - this.#lookedAtMs < BETWEEN_LOOKS_MS) return;
    const late = sleep(LOOK_MS_MAX, undefined, { ref: false });
    await Promise.race([late, this.#lookAtIncarnation().catch(() => undefined)]);
  }

  #lookAtIncarnation(): Promise<void> {
    this.#look ??= this.#compareIncarnation().finally(() => {
      this.#look = undefined;
      this.#lookedAtMs = performance.now();
    });
    return this.#look;
  }

  /** @throws what the client throws: then nothing is known. */
  async #compareIncarnation(): Promise<void> {
    const now = await incarnationNow(this.#client, this.#table);
    if (now === this.#incarnation) {
      if (this.#state === "unopened") this.#state = "open";
    } else this.#lose(`was born as ${now}, not as ${this.#incarnation}: another one took its place`);
  }

  #failed(error: unknown): Outcome {
    const meaning = meaningOf(error);
    if (meaning === "gone") {
      this.#lose("is not there");
      return GONE;
    }
    // What fails one verb fails every one: a sentence is enough until the trouble changes.
    if (meaning === "lasting" && kindOf(error) !== this.#trouble) {
      this.#trouble = kindOf(error);
      this.#warn(`The table ${this.#table} cannot be used now: ${describe(error)}`);
    }
    return this.#isLost() ? GONE : UNKNOWN;
  }

  #lose(why: string): void {
    if (!this.#isLost()) this.#warn(`The table ${this.#table} ${why}.`);
    this.#state = "lost";
  }

  /** Requests end within their time limits. */
  async #stop(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#client.destroy();
  }
}

function emitWarning(sentence: string): void {
  process.emitWarning(sentence, "TableWarning");
}
