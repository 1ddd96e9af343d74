/**
 * The tests that deploy to a real account, and cost money: what no emulator can show. Never part of any other run;
 * test/sandbox/asked.ts is what has to be said before they start.
 */
import { mergeConfig } from "vitest/config";
import { base } from "./vitest.config.ts";

export default mergeConfig(base, {
  test: {
    include: ["test/sandbox/*.test.ts"],
    globalSetup: ["test/sandbox/before.ts"],
    // One step after the other: what comes after one that failed would show nothing.
    bail: 1,
    // A stack, and the metrics of CloudWatch, take their time.
    testTimeout: 3_600_000,
    hookTimeout: 3_600_000,
  },
});
