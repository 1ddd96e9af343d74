/** Fields of a line that a part logged. A user's machine may print what it likes; that is text. */
export function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>;
  } catch {
    // No JSON.
  }
  return { msg: text };
}
