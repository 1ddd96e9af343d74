/** A placeholder until the real one is merged. */
export async function handler(event: unknown): Promise<unknown> {
  console.log(JSON.stringify({ event: "placeholder", part: "sweeper", received: event }));
  return { statusCode: 200, body: "{}" };
}
