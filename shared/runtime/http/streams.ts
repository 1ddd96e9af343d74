/**
 * Answers without a fixed end. An error before the first element is an ordinary problem; after it the HTTP
 * status is out already, so the problem is the last thing in the stream: a line, or an event `problem`.
 */
import { setImmediate } from "node:timers/promises";
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { Message } from "../../protocol/inbox.ts";
import type { LogLine } from "../../wire.ts";
import { problemFor, type Report } from "./problem.ts";
import type { Bindings } from "./routes.ts";

/** Well below the minute after which balancers and browsers give up on a silent connection. */
const KEEP_ALIVE_MS = 15_000;

/** One JSON document a line. */
export async function lines(log: AsyncIterable<LogLine>, report: Report): Promise<Response> {
  const iterator = log[Symbol.asyncIterator]();
  const first = await iterator.next();
  const body = ReadableStream.from(encodedLines(first, iterator, report));
  return new Response(body, { headers: { "content-type": "application/x-ndjson" } });
}

async function* encodedLines(
  first: IteratorResult<LogLine>,
  iterator: AsyncIterator<LogLine>,
  report: Report,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  try {
    for (let next = first; !next.done; next = await iterator.next())
      yield encoder.encode(`${JSON.stringify(next.value)}\n`);
  } catch (error) {
    yield encoder.encode(`${JSON.stringify(problemFor(error, report))}\n`);
  } finally {
    await iterator.return?.();
  }
}

/** Messages as server-sent events, their cursor as the event's id, until the reader leaves or the server closes. */
export async function events(
  c: Context<Bindings>,
  open: (signal: AbortSignal) => AsyncIterable<Message>,
  report: Report,
): Promise<Response> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([leaving.signal, ...(c.env?.closing ? [c.env.closing] : [])]);
  const messages = open(signal)[Symbol.asyncIterator]();
  const first = messages.next();
  // A refusal that is known at once still gets its status; an inbox that is silent must not be waited for.
  await Promise.race([first, setImmediate()]);
  return streamSSE(c, async (stream) => {
    stream.onAbort(() => leaving.abort());
    const keepAlive = setInterval(() => stream.write(": keep-alive\n\n"), KEEP_ALIVE_MS);
    try {
      for (let next = await first; !next.done; next = await messages.next())
        await stream.writeSSE({ id: String(next.value.cursor), data: next.value.message });
    } catch (error) {
      const problem = problemFor(error, report);
      if (!signal.aborted) await stream.writeSSE({ event: "problem", data: JSON.stringify(problem) });
    } finally {
      clearInterval(keepAlive);
      await messages.return?.();
    }
  });
}
