/** The end-to-end tests once more, with the tables of their deployments in an emulator's DynamoDB. */
import { mergeConfig } from "vitest/config";
import { base } from "./vitest.config.ts";

export default mergeConfig(base, {
  test: {
    include: [
      "test/e2e/{drills,service,reconfigure,self-repair,ship,provisioning}.test.ts",
      "test/e2e/{snapshots,registry-reconfigure,reconfigurer-killed}.test.ts",
    ],
    globalSetup: ["test/aws/emulators.ts"],
    setupFiles: ["test/aws/use-dynamodb.ts"],
  },
});
