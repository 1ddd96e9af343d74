/** One start of a function: says how long its import took, and its first and second invocation. `FILE [EVENT]`. */
import { pathToFileURL } from "node:url";

const [file = "", event] = process.argv.slice(2);
const begun = performance.now();
const { handler } = (await import(pathToFileURL(file).href)) as {
  handler?: (event: unknown, context: object) => Promise<{ statusCode: number; body: string }>;
};
const timesMs = [performance.now() - begun];
for (let invocation = 0; event !== undefined && invocation < 2; invocation++) {
  const invoked = performance.now();
  const answer = await handler?.(JSON.parse(event), {});
  timesMs.push(performance.now() - invoked);
  if (answer?.statusCode !== 200) throw new Error(answer?.body);
}
process.send?.(timesMs, () => process.exit(0));
