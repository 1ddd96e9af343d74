/** Logs outlive their stack, but in a sandbox: what went wrong is asked when it is gone. */
import { RemovalPolicy } from "aws-cdk-lib";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import type { Deployment } from "./deployment.ts";

/** Without a name of its own: one that outlived its stack would be in the next one's way. */
export function logGroup(scope: Construct, id: string, { sandbox }: Deployment): LogGroup {
  return new LogGroup(scope, id, {
    retention: sandbox ? RetentionDays.ONE_WEEK : RetentionDays.THREE_MONTHS,
    removalPolicy: sandbox ? RemovalPolicy.DESTROY : RemovalPolicy.RETAIN,
  });
}
