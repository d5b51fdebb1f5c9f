import {
  AccessDeniedError,
  NotFoundError,
  type ProbestreamError,
  UnavailableError,
} from "../errors/probestream-error.js";

/** What a failed call of the file system means to a caller; the cause keeps the system's own words. */
export function toFileError(cause: unknown, path: string): ProbestreamError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const facts = { path, code };
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return new NotFoundError("FILE_NOT_FOUND", `There is no file "${path}"; check the path.`, facts, { cause });
    case "EACCES":
    case "EPERM": {
      const message = `"${path}" may not be read by this user; change its permissions.`;
      return new AccessDeniedError("ACCESS_DENIED", message, facts, { cause });
    }
    default: {
      const message = `"${path}" could not be read (${code}); check the disk and try again.`;
      return new UnavailableError("SOURCE_UNAVAILABLE", message, facts, { cause });
    }
  }
}
