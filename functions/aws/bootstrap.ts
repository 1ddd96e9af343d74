/** A placeholder until the real one is merged. */
export async function handler(event: Record<string, string>): Promise<void> {
  const { StackId, RequestId, LogicalResourceId, ResponseURL = "" } = event;
  const answer = { Status: "SUCCESS", PhysicalResourceId: "theseus", StackId, RequestId, LogicalResourceId };
  await fetch(ResponseURL, { method: "PUT", body: JSON.stringify(answer) });
}
