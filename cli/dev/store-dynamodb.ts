/**
 * The tables of a deployment on this machine in DynamoDB: an emulator's, or AWS's own if that is asked for by name.
 * The deployment's folder has only its pointer and its queue.
 */

import { type AwsPlace, awsPlace } from "../../shared/aws/clients.ts";
import { Invalid } from "../../shared/errors.ts";
import type { AcceptorId } from "../../shared/protocol/quorum.ts";
import type { AcceptorServer } from "../../shared/protocol/registry.ts";
import type { Deployment } from "../../shared/runtime/deployment.ts";
import {
  createDynamodbTable,
  deleteDynamodbTable,
  dynamodbClient,
  findIncarnation,
} from "../../shared/storage/dynamodb.ts";
import { dynamodbTrouble } from "./dynamodb-trouble.ts";
import { random128 } from "./random128.ts";
import type { DevStore } from "./store.ts";

/** Any does for an emulator; of real AWS it is not guessed. */
const EMULATORS_REGION = "us-east-1";
/** Table names may have 255 characters, so this is for people. */
const NAME_DIGITS = 16;

type Client = ReturnType<typeof dynamodbClient>;

/** `recorded`: its tables' Region is that of more of them. @throws Invalid when nothing says where AWS is. */
export function openDynamodbDevStore(id: string, recorded?: Deployment): DevStore {
  const [first] = recorded?.registry.acceptors ?? [];
  try {
    const place = awsPlace("DYNAMODB");
    const region = first?.location.split("/")[0] ?? regionFor(place);
    return new DynamodbDevStore(`dev-${id.slice(0, NAME_DIGITS)}`, region, place);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Invalid("invalid_request", `the tables are in DynamoDB: ${error.message}`, { cause: error });
  }
}

function regionFor(place: AwsPlace): string {
  const region = process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION;
  if (region) return region;
  if ("aws" in place) throw new RangeError("nothing says which Region: set AWS_REGION");
  return EMULATORS_REGION;
}

class DynamodbDevStore implements DevStore {
  readonly nextMove: string;
  readonly #name: string;
  readonly #region: string;
  readonly #place: AwsPlace;
  readonly #client: Client;

  constructor(name: string, region: string, place: AwsPlace) {
    this.#name = name;
    this.#region = region;
    this.#place = place;
    this.#client = dynamodbClient(region, place);
    this.nextMove =
      "aws" in place
        ? "use the account and credentials that they were made with"
        : `they were in an emulator, which ${place.endpoint} no longer is: start it with what it had, or set AWS_ENDPOINT_URL to where it is`;
  }

  get provisionerArgs(): readonly string[] {
    return ["--dynamodb", `${this.#region}/${this.#name}`];
  }

  /** Named as the provisioner names its own, which deletes them one day. */
  plan(): AcceptorServer {
    const id = `p-${random128()}` as AcceptorId;
    const location = `${this.#region}/theseus-${this.#name}-${id}`;
    return { id, kind: "dynamodb", location, incarnation: "planned" };
  }

  make(planned: readonly AcceptorServer[]): Promise<readonly AcceptorServer[]> {
    const tags = { "theseus:deployment": this.#name, "theseus:part": "acceptor" };
    return this.#each(planned, async (table) => {
      const name = nameOf(table);
      const { incarnation } = await createDynamodbTable(this.#client, { name, tags, isProtected: false });
      return { ...table, incarnation };
    });
  }

  async delete(tables: readonly AcceptorServer[]): Promise<void> {
    await this.#each(tables, (table) => deleteDynamodbTable(this.#client, nameOf(table)));
  }

  async isThere(table: AcceptorServer): Promise<boolean> {
    return (await this.#incarnationOf(table)) !== undefined;
  }

  async assertUndamaged(table: AcceptorServer): Promise<void> {
    const incarnation = await this.#incarnationOf(table);
    if (incarnation === undefined || incarnation === table.incarnation) return;
    throw new Invalid(
      "invalid_request",
      `The table ${table.location} was born as ${incarnation}, not as ${table.incarnation}: delete it to go on without this acceptor, or use another --dir`,
    );
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async #incarnationOf(table: AcceptorServer): Promise<string | undefined> {
    const [incarnation] = await this.#each([table], () => findIncarnation(this.#client, nameOf(table)));
    return incarnation;
  }

  /** All at once, since a table takes seconds to be made. */
  async #each<Result>(
    tables: readonly AcceptorServer[],
    act: (table: AcceptorServer) => Promise<Result>,
  ): Promise<readonly Result[]> {
    try {
      return await Promise.all(tables.map(act));
    } catch (error) {
      throw dynamodbTrouble(error, this.#place);
    }
  }
}

function nameOf({ location }: AcceptorServer): string {
  return location.slice(location.indexOf("/") + 1);
}
