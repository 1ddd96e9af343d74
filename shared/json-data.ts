/**
 * JSON data: what is the same after it has been written as JSON and read again. Only such data may enter
 * the log, since every replica, now and later, executes what it reads there.
 */
import { Invalid } from "./errors.ts";
import { COMMAND_BYTES_MAX, COMMAND_DEPTH_MAX } from "./limits.ts";

/**
 * `what` names the value in the message. A property that is undefined counts as absent.
 * @throws Invalid "too_large" above COMMAND_BYTES_MAX; Invalid "invalid_command" for what JSON cannot hold,
 * for nesting deeper than COMMAND_DEPTH_MAX (so for cycles too), and for a key `__proto__`, which would
 * change an object's prototype wherever it is copied by assignment.
 */
export function assertJsonData(value: unknown, what: string): void {
  new Walk(what).visit(value, "", 0);
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes > COMMAND_BYTES_MAX) throw tooLarge(what, `${bytes} bytes`);
}

class Walk {
  readonly #what: string;
  #visited = 0;

  constructor(what: string) {
    this.#what = what;
  }

  visit(value: unknown, path: string, depth: number): void {
    // Each value takes a byte of JSON at least: this ends a walk through one object shared very often.
    if (++this.#visited > COMMAND_BYTES_MAX)
      throw tooLarge(this.#what, `more than ${COMMAND_BYTES_MAX} values`);
    if (value === null || typeof value === "string" || typeof value === "boolean") return;
    if (typeof value === "number") {
      if (!Number.isFinite(value)) this.#refuse(path, `is ${value}`);
      return;
    }
    if (typeof value !== "object") return this.#refuse(path, `is ${aOrAn(typeof value)}`);
    if (depth >= COMMAND_DEPTH_MAX)
      throw new Invalid("invalid_command", `${this.#what} is nested deeper than ${COMMAND_DEPTH_MAX} levels`);
    if (Array.isArray(value)) this.#visitArray(value, path, depth);
    else this.#visitObject(value, path, depth);
  }

  #visitArray(array: readonly unknown[], path: string, depth: number): void {
    // By index, since forEach would pass over the holes of a sparse array.
    for (let index = 0; index < array.length; index++)
      this.visit(array[index], `${path}[${index}]`, depth + 1);
  }

  #visitObject(object: object, path: string, depth: number): void {
    const prototype = Object.getPrototypeOf(object);
    const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
    if (!isPlain) return this.#refuse(path, `is ${aOrAn(prototype.constructor?.name || "class instance")}`);
    if (Object.hasOwn(object, "__proto__"))
      throw new Invalid("invalid_command", `${this.#what} has a key __proto__${path && ` at ${path}`}`);
    for (const [key, value] of Object.entries(object))
      if (value !== undefined) this.visit(value, pathOf([path, key]), depth + 1);
  }

  #refuse(path: string, found: string): never {
    const at = path === "" ? "it" : path;
    throw new Invalid("invalid_command", `${this.#what} must be JSON data, but ${at} ${found}`);
  }
}

/** A path as JavaScript would write it: `items[0].name`. */
export function pathOf(keys: readonly PropertyKey[]): string {
  return keys
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\.+/, "");
}

function tooLarge(what: string, found: string): Invalid {
  return new Invalid("too_large", `${what} has ${found}; the limit is ${COMMAND_BYTES_MAX} bytes as JSON`);
}

function aOrAn(name: string): string {
  return name === "undefined" ? name : `${/^[aeiou]/i.test(name) ? "an" : "a"} ${name}`;
}
