/** The operating system's refusal of a file or folder, as an error whose message a person can act on. */
import { Forbidden, Invalid } from "../errors.ts";

/** `what` begins the sentence. An error that is not the operating system's is passed through. */
export function fileTrouble(error: unknown, what: string): unknown {
  if (!(error instanceof Error && "code" in error && "syscall" in error)) return error;
  const cause = error;
  if (error.code === "EACCES" || error.code === "EPERM")
    return new Forbidden("forbidden", `${what}: permission denied; change its rights, or use another --dir`, {
      cause,
    });
  return new Invalid("invalid_request", `${what}: ${error.message}; put that right, or use another --dir`, {
    cause,
  });
}
