/** A machine's state as JSON, for people and their tools; nothing reads it back. */

/**
 * `state` as data that `JSON.stringify` writes: a Map as an object when all its keys are strings, else as an
 * array of pairs; a Set as an array; a Date as ISO 8601 text; a BigInt as decimal text.
 * @throws RangeError for a state that contains itself.
 */
export function toJson(state: unknown): unknown {
  if (typeof state === "bigint") return state.toString();
  if (typeof state !== "object" || state === null) return state;
  // An invalid date has no ISO text; JSON writes it as null.
  if (state instanceof Date) return state.toJSON();
  if (state instanceof Set) return Array.from(state, toJson);
  if (state instanceof Map) return mapToJson(state);
  if (Array.isArray(state)) return state.map(toJson);
  return fromEntries(Object.entries(state));
}

function mapToJson(map: ReadonlyMap<unknown, unknown>): unknown {
  const entries = [...map];
  return entries.every(hasTextKey) ? fromEntries(entries) : entries.map(toJson);
}

/** Object.fromEntries defines properties and never assigns them, so a key `__proto__` is a key like another. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): unknown {
  return Object.fromEntries(entries.map(([key, value]) => [key, toJson(value)]));
}

function hasTextKey(entry: [unknown, unknown]): entry is [string, unknown] {
  return typeof entry[0] === "string";
}
