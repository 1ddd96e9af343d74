/** Ctrl-C or SIGTERM: the first stops cleanly, the second at once. */

/** One Ctrl-C may arrive twice: from the terminal, and from the npm that the terminal told as well. */
const SAME_KEYSTROKE_MS = 300;

/** Resolves with the first signal's name. Listens until the process ends. */
export function stopSignal(again: (signal: NodeJS.Signals) => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      if (firstAtMs === undefined) {
        firstAtMs = performance.now();
        resolve(signal);
      } else if (performance.now() - firstAtMs > SAME_KEYSTROKE_MS) again(signal);
    };
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  });
}
