/**
 * The seven verbs as single-item requests (PROTOCOL §3): each is one conditional write, under the names that the
 * conditions have in protocol/acceptor.ts, or one consistent read.
 *
 * Conditions are only ever written positively. With an attribute missing every comparison is false, so `NOT (pb > :pb)`
 * would be true of an item that is not there, where `pb <= :pb` is false.
 *
 * A verb that is said again, because nobody knows whether the first time counted, finds its own effect and is applied
 * again, or finds something that came later and is refused by that: never refused by itself.
 */
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import type { Head, Outcome, Verb } from "../protocol/acceptor.ts";
import type { MachineId } from "../protocol/configuration.ts";
import {
  type Attributes,
  bornAttributes,
  contentAttributes,
  itemOf,
  number,
  partitionKey,
  text,
  valueText,
} from "./dynamodb-items.ts";

const IS_MISSING = "attribute_not_exists(pk)";
const IS_THERE = "attribute_exists(pk)";
const NOT_PROMISED_AWAY = "pb <= :pb";
const LANE_IS_FREE = "sl < :sl";
const SAME_SLOT = "sl = :sl";
const OLDER_VOTE = "vb < :pb";
const SAME_VALUE = "dg = :dg";
const COVERS_MORE = "si <= :si";
const NEWER_SNAPSHOT = "ss < :ss";
/** `ref` is a word of DynamoDB's own. */
const SAME_SNAPSHOT = "(ss = :ss AND #ref = :ref)";

const MAY_PROMISE = `${IS_THERE} AND ${NOT_PROMISED_AWAY}`;
const MAY_VOTE = `${MAY_PROMISE} AND (${LANE_IS_FREE} OR (${SAME_SLOT} AND (${OLDER_VOTE} OR ${SAME_VALUE})))`;
const MAY_ADVANCE = `${IS_THERE} AND ${COVERS_MORE} AND (${NEWER_SNAPSHOT} OR ${SAME_SNAPSHOT})`;
const MAY_PUT = `${IS_MISSING} OR ${SAME_VALUE}`;

const APPLIED: Outcome = { outcome: "applied" };
const NO_SUCH_ITEM: Outcome = { outcome: "refused" };

type Update = Pick<UpdateItemCommandInput, "UpdateExpression" | "ConditionExpression" | "ReturnValues"> & {
  readonly values: Attributes;
  readonly names?: Record<string, string>;
};

/** @throws what the client throws, except for a condition that did not hold: that is an outcome. */
export async function say(
  client: DynamoDBClient,
  TableName: string,
  machine: MachineId,
  verb: Verb,
): Promise<Outcome> {
  const Key = { pk: text(partitionKey(machine, verb.key)) };
  try {
    return await attempt(client, { TableName, Key }, verb);
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    // Whoever made it, it is there.
    if (verb.verb === "create") return APPLIED;
    const { Item } = error;
    return Item === undefined ? NO_SUCH_ITEM : { outcome: "refused", by: itemOf(verb.key, Item) };
  }
}

async function attempt(
  client: DynamoDBClient,
  place: { readonly TableName: string; readonly Key: Attributes },
  verb: Verb,
): Promise<Outcome> {
  const { TableName, Key } = place;
  const update = ({ values, names, ...input }: Update) =>
    client.send(
      new UpdateItemCommand({
        ...place,
        ...input,
        ExpressionAttributeValues: values,
        ...(names === undefined ? {} : { ExpressionAttributeNames: names }),
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      }),
    );
  switch (verb.verb) {
    case "create": {
      const Item = { ...Key, ...bornAttributes(verb.key) };
      await client.send(new PutItemCommand({ TableName, Item, ConditionExpression: IS_MISSING }));
      return APPLIED;
    }
    case "promise": {
      const { Attributes = {} } = await update(promise(verb));
      return { outcome: "applied", item: itemOf(verb.key, Attributes) };
    }
    case "vote":
      await update(vote(verb));
      return APPLIED;
    case "advance":
      await update(advance(verb.head));
      return { outcome: "applied", item: verb.head };
    case "put":
      await client.send(
        new PutItemCommand({
          TableName,
          Item: { ...Key, ...contentAttributes(verb.content) },
          ConditionExpression: MAY_PUT,
          ExpressionAttributeValues: { ":dg": text(verb.content.digest) },
          ReturnValuesOnConditionCheckFailure: "ALL_OLD",
        }),
      );
      return APPLIED;
    case "drop":
      await client.send(new DeleteItemCommand(place));
      return APPLIED;
    case "read": {
      const { Item } = await client.send(new GetItemCommand({ ...place, ConsistentRead: true }));
      if (Item !== undefined) return { outcome: "applied", item: itemOf(verb.key, Item) };
      return verb.key.kind === "cell" || verb.key.kind === "head" ? NO_SUCH_ITEM : APPLIED;
    }
  }
}

function promise({ ballot }: Extract<Verb, { verb: "promise" }>): Update {
  return {
    UpdateExpression: "SET pb = :pb",
    ConditionExpression: MAY_PROMISE,
    ReturnValues: "ALL_NEW",
    values: { ":pb": text(ballot) },
  };
}

function vote({ ballot, slot, value }: Extract<Verb, { verb: "vote" }>): Update {
  return {
    UpdateExpression: "SET pb = :pb, sl = :sl, vb = :pb, vl = :vl, dg = :dg",
    ConditionExpression: MAY_VOTE,
    values: {
      ":pb": text(ballot),
      ":sl": number(slot),
      ":vl": valueText(value.text),
      ":dg": text(value.digest),
    },
  };
}

function advance({ covered, snapshotSlot, snapshot }: Head): Update {
  return {
    UpdateExpression: "SET si = :si, ss = :ss, #ref = :ref",
    ConditionExpression: MAY_ADVANCE,
    names: { "#ref": "ref" },
    values: { ":si": number(covered), ":ss": number(snapshotSlot), ":ref": text(snapshot) },
  };
}
