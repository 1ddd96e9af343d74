/**
 * Linearizability of a history whose answers say where in the log they stand (invariant 10). The log is the
 * order to be explained, so nothing has to be searched for: replayed in that order, every operation must give the
 * answer that was given, and none may come before another that had returned when it was called.
 * After sorting, one pass.
 *
 * Operations are plain data, one JSON line each, and any outside checker can read them too.
 */
export interface Operation {
  readonly client: string;
  /** Times of one clock that never jumps, in any unit. */
  readonly call: number;
  /** Ignored when the outcome is unknown. */
  readonly return: number;
  /** A command: the slot that it was executed in, and its place there. Absent: it was never executed. */
  readonly slot?: number;
  readonly index?: number;
  /** A read: the last slot that its answer takes into account. */
  readonly asOf?: number;
  readonly input: unknown;
  readonly output: unknown;
  /** False: the outcome is unknown to the client. */
  readonly ok: boolean;
}

/** The machine as one sequential object. Outputs are compared as JSON. */
export interface Sequential {
  execute(input: unknown): unknown;
  read(input: unknown): unknown;
}

/** What is wrong with the history; undefined: it is linearizable in log order. */
export function faultOfHistory(operations: readonly Operation[], machine: Sequential): string | undefined {
  const placed = operations.filter(isPlaced).sort(byPlace);
  return faultOfAnswers(placed, machine) ?? faultOfOrder(placed);
}

export function toJsonLines(operations: readonly Operation[]): string {
  return operations.map((operation) => `${JSON.stringify(operation)}\n`).join("");
}

/** An operation that was never executed, or a read that was never answered, has no place and constrains nothing. */
function isPlaced({ slot, asOf, ok }: Operation): boolean {
  return slot !== undefined || (asOf !== undefined && ok);
}

/** A read comes after every command of the slots that it takes into account. */
function byPlace(one: Operation, other: Operation): number {
  return slotOf(one) - slotOf(other) || indexOf(one) - indexOf(other);
}

function slotOf({ slot, asOf }: Operation): number {
  return (slot ?? asOf) as number;
}

function indexOf({ index, asOf }: Operation): number {
  return asOf === undefined ? (index ?? 0) : Number.MAX_SAFE_INTEGER;
}

function faultOfAnswers(placed: readonly Operation[], machine: Sequential): string | undefined {
  for (const operation of placed) {
    const expected =
      operation.asOf === undefined ? machine.execute(operation.input) : machine.read(operation.input);
    if (operation.ok && JSON.stringify(expected) !== JSON.stringify(operation.output))
      return `${JSON.stringify(operation)} should have been answered ${JSON.stringify(expected)}`;
  }
  return undefined;
}

/** Reads of the same slot stand beside each other: either may be first. */
function faultOfOrder(placed: readonly Operation[]): string | undefined {
  let latestBefore: Operation | undefined;
  let latestHere: Operation | undefined;
  let last: Operation | undefined;
  for (const operation of placed) {
    if (last !== undefined && byPlace(last, operation) < 0) latestBefore = latestHere;
    last = operation;
    if (latestBefore !== undefined && operation.ok && operation.return < latestBefore.call)
      return `${JSON.stringify(operation)} returned before ${JSON.stringify(latestBefore)} was called, and stands after it`;
    if (latestHere === undefined || operation.call > latestHere.call) latestHere = operation;
  }
  return undefined;
}
