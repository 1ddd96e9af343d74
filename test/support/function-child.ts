/** The registry's function in a process of its own, which may be frozen: one event a message, one answer each. */
import type { LambdaFunctionURLEvent } from "aws-lambda";
import { handler } from "../../functions/aws/registry.ts";

process.on("message", async (event: LambdaFunctionURLEvent) => {
  const { statusCode, body } = await handler(event as never);
  process.send?.({ status: statusCode, body: JSON.parse(body) });
});
