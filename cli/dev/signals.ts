/** Ctrl-C or SIGTERM: the first one stops cleanly, a second one at once. */

/** Some send one request twice: coreutils' `timeout` tells its child and then the whole process group. */
const SAME_REQUEST_MS = 300;

/** Resolves with the first signal's name. Listens until the process ends. */
export function stopSignal(again: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      if (firstAtMs === undefined) {
        firstAtMs = performance.now();
        resolve(signal);
      } else if (performance.now() - firstAtMs > SAME_REQUEST_MS) again();
    };
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  });
}
