/** A promise that settles by its deadline at the latest. */
export class Expectation<Result> {
  readonly promise: Promise<Result>;
  readonly #resolve: (result: Result) => void;
  readonly #reject: (error: Error) => void;
  readonly #deadline: NodeJS.Timeout;
  #isSettled = false;

  /** `late` says what became of it, at the moment the deadline passes. */
  constructor(deadlineMs: number, late: () => Error) {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#deadline = setTimeout(() => this.reject(late()), deadlineMs);
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  resolve(result: Result): void {
    this.#settle();
    this.#resolve(result);
  }

  reject(error: Error): void {
    this.#settle();
    this.#reject(error);
  }

  #settle(): void {
    this.#isSettled = true;
    clearTimeout(this.#deadline);
  }
}
