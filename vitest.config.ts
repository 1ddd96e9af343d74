import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig, mergeConfig } from "vitest/config";
import { PlainReporter } from "./test/support/plain-reporter.ts";

export const base = defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"] } },
  test: {
    reporters: ["default", new PlainReporter()],
    // Real processes with real fsyncs on two shared cores: slow is not stuck.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores: one for the tests of a file, one for the processes that they start.
    maxWorkers: 2,
    // Tests start a thousand processes of ours: each would strip and compile the same sources again.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL("node_modules/.cache/compiled", import.meta.url)) },
  },
});

export default mergeConfig(base, {
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "test/aws/**", "test/sandbox/**"],
  },
});
