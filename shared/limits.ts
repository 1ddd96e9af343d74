/**
 * What a request may be, checked at the edge before a slot is taken. Sizes are bytes of UTF-8 JSON text.
 * How many sessions, idempotency keys and inboxes a machine remembers is part of its protocol and stands there.
 */

const KB = 1024;

/** One cell's value (PROTOCOL §1): eight of them, a chunk, stay below DynamoDB's 400 KB for an item. */
export const CELL_VALUE_BYTES_MAX = 48 * KB;

/** Format, ballot and time around a batch's commands: about 130 bytes. */
export const BATCH_ENVELOPE_BYTES_MAX = 256;

/** The encoded commands of one batch with the commas between them: what a cell has room for. */
export const BATCH_BYTES_MAX = CELL_VALUE_BYTES_MAX - BATCH_ENVELOPE_BYTES_MAX;

/** One command as the caller wrote it and as validation returned it: the largest fits a batch with room for others. */
export const COMMAND_BYTES_MAX = 32 * KB;

/** Session and sequence, or idempotency key, around one command; a key's text may double by JSON's escapes. */
export const COMMAND_ENVELOPE_BYTES_MAX = 1 * KB;

/** Objects and arrays within each other: far more than data needs, far less than overflows a stack. */
export const COMMAND_DEPTH_MAX = 64;

/** One HTTP body: encoded as base64 it still passes a Lambda's 6 MB. */
export const BODY_BYTES_MAX = 4 * KB * KB;

/** A machine's name: a DNS label, so that it may be part of any resource's name. */
export const MACHINE_NAME_PATTERN = /^[a-z][a-z0-9-]{0,62}$/;

/** The id of one instance of a machine: what a URL's path carries without escapes. */
export const INSTANCE_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;

/** A query's name: an identifier, or words with hyphens, which a URL's path carries without escapes. */
export const QUERY_NAME_PATTERN = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

const KEY_CHARACTERS_MAX = 255;

/** A session's nonce or an idempotency key: what an HTTP header can carry. */
export const KEY_PATTERN = new RegExp(`^[\\x21-\\x7e]{1,${KEY_CHARACTERS_MAX}}$`);

const JSON_ESCAPE_FACTOR = 2;

if (JSON_ESCAPE_FACTOR * KEY_CHARACTERS_MAX > COMMAND_ENVELOPE_BYTES_MAX / 2)
  throw new RangeError("limits: a key does not fit a command's envelope");
if (COMMAND_BYTES_MAX + COMMAND_ENVELOPE_BYTES_MAX > BATCH_BYTES_MAX)
  throw new RangeError("limits: the largest command does not fit a batch");
if (BATCH_BYTES_MAX > BODY_BYTES_MAX)
  throw new RangeError("limits: the largest batch does not fit an HTTP body");
