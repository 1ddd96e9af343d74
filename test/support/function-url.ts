/** A request to a function's URL, as Lambda hands it on. */
import type { LambdaFunctionURLEvent } from "aws-lambda";

export interface Asked {
  readonly method?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export function urlEvent(
  rawPath: string,
  { method, query = "", headers = {}, body }: Asked = {},
): LambdaFunctionURLEvent {
  const domainName = "abc.lambda-url.us-east-1.on.aws";
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString: query,
    headers: { host: domainName, "content-type": "application/json", ...headers },
    isBase64Encoded: false,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    requestContext: {
      ...{ accountId: "000000000000", apiId: "abc", domainName, domainPrefix: "abc" },
      http: {
        ...{ method: method ?? (body === undefined ? "GET" : "POST"), path: rawPath },
        ...{ protocol: "HTTP/1.1", sourceIp: "127.0.0.1", userAgent: "test" },
      },
      ...{ requestId: "1", routeKey: "$default", stage: "$default", time: "", timeEpoch: 0 },
    },
  };
}
