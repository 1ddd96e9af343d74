/** The very same app that `cdk deploy` deploys, and beside it somebody who may send, and nothing else. */
import { Stack } from "aws-cdk-lib";
import { AccountRootPrincipal, PolicyDocument, PolicyStatement, Role } from "aws-cdk-lib/aws-iam";
import { theseus } from "../../infra/app.ts";

const stack = Stack.of(theseus);
const sender = new Role(stack, "Sender", {
  assumedBy: new AccountRootPrincipal(),
  description: "of test:sandbox: may send to the gateway, and find it",
  inlinePolicies: {
    find: new PolicyDocument({
      statements: [
        new PolicyStatement({ actions: ["cloudformation:DescribeStacks"], resources: [stack.stackId] }),
      ],
    }),
  },
});
theseus.grantSend(sender);
