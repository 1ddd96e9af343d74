/**
 * Tables of DynamoDB, in one Region or several. The tag is a tag of AWS, and the beginning of the name as well: what does
 * not have both is never deleted. The account is shared with others, and a role's policy can be confined to names.
 *
 * Nothing waits for a table: it takes seconds until one can be used, and its backups can be switched on only then.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ContinuousBackupsUnavailableException,
  DeleteTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  ListTablesCommand,
  ListTagsOfResourceCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  type TableDescription,
  UpdateContinuousBackupsCommand,
  UpdateTableCommand,
} from "@aws-sdk/client-dynamodb";
import type { AwsPlace } from "../aws/clients.ts";
import { Invalid } from "../errors.ts";
import type { AcceptorServer } from "../protocol/pool.ts";
import type { AcceptorId } from "../protocol/quorum.ts";
import { beginDynamodbTable, dynamodbClient, incarnationOf } from "../storage/dynamodb.ts";
import { awsTrouble } from "./aws-trouble.ts";
import type { Tables, TaggedTable } from "./tables.ts";

const KIND = "dynamodb";
/** Whether a table may be deleted right after its protection was taken back is up to DynamoDB. */
const DELETE_ATTEMPTS_MAX = 5;
const BETWEEN_ATTEMPTS_MS = 500;

export interface DynamodbTablesOptions {
  /** The deployment's name: lower-case letters, digits and "-". */
  readonly deployment: string;
  /**
   * 128 random bits: which of those that ever had this name. Its tables alone are listed and deleted, since no other
   * registry knows which of them are needed. Undefined: whichever.
   */
  readonly birth?: string | undefined;
  /** Where tables are made: at least one. */
  readonly regions: readonly string[];
  /** Tables are born with deletion protection, and get point-in-time recovery. */
  readonly isProtected: boolean;
  readonly place: AwsPlace;
  /** Gets a sentence for a person when a table was made elsewhere than it should be. */
  readonly warn: (sentence: string) => void;
}

interface Place {
  readonly region: string;
  readonly name: string;
}

type Tags = Readonly<Record<string, string>>;

interface Found {
  readonly table: TableDescription;
  /** It has all the tags. */
  readonly isOurs: boolean;
  /** It has those of a deployment of this name. */
  readonly isNamesake: boolean;
}

export class DynamodbTables implements Tables {
  readonly #options: DynamodbTablesOptions;
  readonly #tags: Tags;
  readonly #namesakes: Tags;
  readonly #clients = new Map<string, DynamoDBClient>();

  constructor(options: DynamodbTablesOptions) {
    this.#options = options;
    const { deployment, birth } = options;
    this.#namesakes = { "theseus:deployment": deployment, "theseus:part": "acceptor" };
    this.#tags = { ...this.#namesakes, ...(birth === undefined ? {} : { "theseus:birth": birth }) };
  }

  /** Where a Region does nothing, it is the next best one's turn: a repair must not wait for the Region that is down. */
  async create(existing: readonly AcceptorServer[], turn = 0): Promise<AcceptorServer> {
    const troubles: Error[] = [];
    for (const region of fewestFirst(this.#options.regions, existing, turn)) {
      try {
        const acceptor = await this.#createIn(region);
        for (const { message } of troubles)
          this.#options.warn(`${message}; a table was made in ${region} instead`);
        return acceptor;
      } catch (error) {
        troubles.push(error as Error);
      }
    }
    if (troubles.length === 1) throw troubles[0];
    throw new AggregateError(troubles, troubles.map(({ message }) => message).join("; "));
  }

  async isReady({ id, kind, location, incarnation }: AcceptorServer): Promise<boolean> {
    const place = this.#placeOf(id, location);
    // On record by another kind, it could be opened by nobody.
    if (kind !== KIND) throw new Invalid("invalid_request", `${location} is not of the kind ${kind}`);
    const table = await this.#describe(place);
    if (table?.TableStatus !== "ACTIVE" || incarnationOf(table) !== incarnation) return false;
    return !this.#options.isProtected || this.#switchBackupsOn(place);
  }

  async delete({ id, location }: Pick<AcceptorServer, "id" | "location">): Promise<void> {
    const place = this.#placeOf(id, location);
    const found = await this.#find(place);
    if (found === undefined) return;
    if (!found.isOurs)
      throw new Invalid(
        "invalid_request",
        `the table ${location} has not the tags of the deployment ${this.#options.deployment}: it is not deleted`,
      );
    if (found.table.DeletionProtectionEnabled) await this.#takeProtectionBack(place);
    await this.#deleteNow(place);
  }

  async has({ id, location, incarnation }: AcceptorServer): Promise<boolean> {
    const table = await this.#describe(this.#placeOf(id, location));
    return table !== undefined && incarnationOf(table) === incarnation;
  }

  list(except: ReadonlySet<AcceptorId>): Promise<readonly TaggedTable[]> {
    return this.#list(except, ({ isOurs }) => isOurs);
  }

  /** Those of another deployment that has, or had, this one's name. */
  others(): Promise<readonly TaggedTable[]> {
    return this.#list(new Set(), ({ isOurs, isNamesake }) => isNamesake && !isOurs);
  }

  async #list(
    except: ReadonlySet<AcceptorId>,
    isWanted: (found: Found) => boolean,
  ): Promise<readonly TaggedTable[]> {
    const listed: TaggedTable[] = [];
    for (const region of this.#options.regions)
      for await (const name of this.#namesIn(region)) {
        const id = this.#idOf(name);
        if (id === undefined || except.has(id)) continue;
        const found = await this.#find({ region, name });
        if (found === undefined || !isWanted(found)) continue;
        const ageMs = Date.now() - (found.table.CreationDateTime?.getTime() ?? Date.now());
        listed.push({ id, location: `${region}/${name}`, ageMs });
      }
    return listed;
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.destroy();
  }

  async #createIn(region: string): Promise<AcceptorServer> {
    const id = `p-${randomBytes(16).toString("hex")}` as AcceptorId;
    const { isProtected } = this.#options;
    const born = { name: this.#nameOf(id), tags: this.#tags, isProtected };
    const record = await this.#ask("a table cannot be made", "CreateTable", region, (client) =>
      beginDynamodbTable(client, born),
    );
    return { id, kind: KIND, ...record };
  }

  /** Whether that is done. Said again, it changes nothing. */
  async #switchBackupsOn({ region, name }: Place): Promise<boolean> {
    const on = new UpdateContinuousBackupsCommand({
      TableName: name,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    });
    return this.#ask(
      `${name} cannot have its backups switched on`,
      "UpdateContinuousBackups",
      region,
      (client) =>
        client.send(on).then(
          () => true,
          (error: unknown) => {
            if (error instanceof ContinuousBackupsUnavailableException) return false;
            throw error;
          },
        ),
    );
  }

  async #takeProtectionBack({ region, name }: Place): Promise<void> {
    const off = new UpdateTableCommand({ TableName: name, DeletionProtectionEnabled: false });
    await this.#ask(`${name} cannot be deleted`, "UpdateTable", region, (client) => client.send(off));
  }

  async #deleteNow({ region, name }: Place): Promise<void> {
    const deletion = new DeleteTableCommand({ TableName: name });
    const attempt = async (client: DynamoDBClient, left: number): Promise<void> => {
      try {
        await client.send(deletion);
      } catch (error) {
        if (error instanceof ResourceNotFoundException) return;
        if (!(error instanceof ResourceInUseException) || left === 0) throw error;
        await sleep(BETWEEN_ATTEMPTS_MS);
        await attempt(client, left - 1);
      }
    };
    await this.#ask(`${name} cannot be deleted`, "DeleteTable", region, (client) =>
      attempt(client, DELETE_ATTEMPTS_MAX - 1),
    );
  }

  /** Undefined: there is none. */
  async #find(place: Place): Promise<Found | undefined> {
    const table = await this.#describe(place);
    if (table === undefined) return undefined;
    try {
      return { table, ...(await this.#whose(place, table)) };
    } catch (error) {
      // To the tags of one that was deleted meanwhile, access is denied.
      if ((await this.#describe(place)) === undefined) return undefined;
      throw error;
    }
  }

  /** Undefined: there is none, or not for long. */
  async #describe({ region, name }: Place): Promise<TableDescription | undefined> {
    return this.#ask(`${name} cannot be looked at`, "DescribeTable", region, async (client) => {
      try {
        const { Table } = await client.send(new DescribeTableCommand({ TableName: name }));
        return Table?.TableStatus === "DELETING" ? undefined : Table;
      } catch (error) {
        if (error instanceof ResourceNotFoundException) return undefined;
        throw error;
      }
    });
  }

  async #whose({ region, name }: Place, { TableArn }: TableDescription): Promise<Omit<Found, "table">> {
    const tags = await this.#ask(`${name}'s tags cannot be read`, "ListTagsOfResource", region, (client) =>
      tagsOf(client, TableArn),
    );
    const bears = (wanted: Tags) =>
      Object.entries(wanted).every(([key, value]) => tags === undefined || tags.get(key) === value);
    return { isOurs: bears(this.#tags), isNamesake: bears(this.#namesakes) };
  }

  async *#namesIn(region: string): AsyncGenerator<string> {
    let after: { ExclusiveStartTableName?: string } = {};
    do {
      const { TableNames = [], LastEvaluatedTableName } = await this.#ask(
        "tables cannot be listed",
        "ListTables",
        region,
        (client) => client.send(new ListTablesCommand(after)),
      );
      yield* TableNames;
      after = LastEvaluatedTableName === undefined ? {} : { ExclusiveStartTableName: LastEvaluatedTableName };
    } while (after.ExclusiveStartTableName !== undefined);
  }

  async #ask<Answer>(
    what: string,
    operation: string,
    region: string,
    act: (client: DynamoDBClient) => Promise<Answer>,
  ): Promise<Answer> {
    try {
      return await act(this.#clientIn(region));
    } catch (error) {
      throw awsTrouble({ what, service: "DynamoDB", action: `dynamodb:${operation}`, region }, error);
    }
  }

  #clientIn(region: string): DynamoDBClient {
    const client = this.#clients.get(region) ?? dynamodbClient(region, this.#options.place);
    this.#clients.set(region, client);
    return client;
  }

  /** @throws Invalid for a table by another name than this deployment gives. */
  #placeOf(id: AcceptorId, location: string): Place {
    const [region = "", name = "", ...rest] = location.split("/");
    const isOurs = name === this.#nameOf(id) && this.#idOf(name) === id;
    if (region === "" || rest.length > 0 || !isOurs)
      throw new Invalid(
        "invalid_request",
        `${location} is no table of the deployment ${this.#options.deployment}: nothing is done with it`,
      );
    return { region, name };
  }

  #nameOf(id: AcceptorId): string {
    return `theseus-${this.#options.deployment}-${id}`;
  }

  #idOf(name: string): AcceptorId | undefined {
    const id = name.slice(`theseus-${this.#options.deployment}-`.length) as AcceptorId;
    return /^p-[0-9a-f]{32}$/.test(id) && this.#nameOf(id) === name ? id : undefined;
  }
}

/** With that many tables on their way, each of them where the fewest were then. */
function fewestFirst(
  regions: readonly string[],
  existing: readonly AcceptorServer[],
  turn: number,
): readonly string[] {
  const counts = new Map(
    regions.map((region) => [
      region,
      existing.filter(({ location }) => location.startsWith(`${region}/`)).length,
    ]),
  );
  const countIn = (region: string) => counts.get(region) ?? 0;
  const sorted = () => [...regions].sort((one, other) => countIn(one) - countIn(other));
  for (let before = 0; before < turn; before++) {
    const [next] = sorted() as [string];
    counts.set(next, countIn(next) + 1);
  }
  return sorted();
}

/** Undefined: whoever answers knows no tags, as DynamoDB Local, which has no others' tables either. */
async function tagsOf(
  client: DynamoDBClient,
  ResourceArn: string | undefined,
): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const { Tags = [] } = await client.send(new ListTagsOfResourceCommand({ ResourceArn }));
    return new Map(Tags.map(({ Key = "", Value = "" }) => [Key, Value]));
  } catch (error) {
    if (error instanceof Error && error.name === "UnknownOperationException") return undefined;
    throw error;
  }
}
