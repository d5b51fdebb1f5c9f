import { InvalidInputError, type ProbestreamError, UnavailableError } from "../errors/probestream-error.js";

/** What a failed attempt to write means to a caller; the cause keeps the system's own words. */
export function toWriteError(cause: unknown, path: string): ProbestreamError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const facts = { path, code };
  if (["ENOTEMPTY", "EEXIST"].includes(code)) {
    return new InvalidInputError("FIELD_INVALID", `"${path}" exists already; give another name.`, facts, { cause });
  }
  const message = `"${path}" could not be written (${code}); check the path, its permissions and the disk.`;
  return new UnavailableError("SOURCE_UNAVAILABLE", message, facts, { cause });
}
