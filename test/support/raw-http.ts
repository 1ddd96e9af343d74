/** One HTTP request with nothing done for the caller: bytes, paths and headers go out as they are given. */
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";

export interface RawRequest {
  readonly method?: string;
  /** Sent as it is: not resolved, not escaped. */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array | undefined;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export function rawRequest(
  url: string,
  { method = "GET", path, headers = {}, body }: RawRequest,
): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const { hostname, port } = new URL(url);
  const length =
    body === undefined || "transfer-encoding" in headers ? {} : { "content-length": Buffer.byteLength(body) };
  const sent = request(
    { hostname, port, method, path, agent: false, headers: { ...length, ...headers } },
    async (answer) => {
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of answer) chunks.push(chunk);
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          text: Buffer.concat(chunks).toString(),
        });
      } catch (error) {
        reject(error);
      }
    },
  );
  // A server that refuses a long body may hang up before it has all been sent; the answer counts.
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

export function postJson(
  url: string,
  path: string,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): Promise<RawAnswer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return rawRequest(url, {
    method: "POST",
    path,
    body: text,
    headers: { "content-type": "application/json", ...headers },
  });
}
