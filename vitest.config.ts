import { defineConfig } from "vitest/config";
import { PlainReporter } from "./test/support/plain-reporter.ts";

export default defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", new PlainReporter()],
    // Real processes with real fsyncs on two shared cores: slow is not stuck.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores: one for the tests of a file, one for the processes that they start.
    maxWorkers: 2,
  },
});
