/** The tests that need an emulator of AWS, which they fetch and start themselves: Java, Maven and Python have to be there. */
import { mergeConfig } from "vitest/config";
import { base } from "./vitest.config.ts";

export default mergeConfig(base, {
  test: {
    include: ["test/aws/**/*.test.ts", "test/e2e/{drills,ship}.test.ts"],
    globalSetup: ["test/aws/emulators.ts"],
    setupFiles: ["test/aws/use-dynamodb.ts"],
  },
});
