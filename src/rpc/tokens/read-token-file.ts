import { constants, type FileHandle, open } from "node:fs/promises";
import { AccessDeniedError, InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import { toFileError } from "../../weights/to-file-error.js";
import { parseTokens } from "./parse-tokens.js";

/** Longest file read, in bytes. */
const maxFileBytes = 1024 * 1024;

/** What nobody but the owner and, to read it, the group may do: the group's writing, and all of the others'. */
const forbiddenMode = 0o027;

/**
 * Reads a file of tokens as {@link parseTokens} does.
 *
 * Where files have modes, one that others may read or write, or its group may write, is refused.
 *
 * @throws what {@link parseTokens} throws; NotFoundError `FILE_NOT_FOUND`, AccessDeniedError `ACCESS_DENIED`,
 * UnavailableError `SOURCE_UNAVAILABLE`, LimitExceededError `LIMIT_EXCEEDED` beyond 1 MiB, InvalidInputError
 * `FIELD_INVALID` for what is no file.
 */
export async function readTokenFile(path: string): Promise<string[]> {
  // Not blocking, or a named pipe would wait for its writer.
  const flags = constants.O_RDONLY | (process.platform === "win32" ? 0 : constants.O_NONBLOCK);
  const file = await open(path, flags).catch((cause: unknown) => {
    throw toFileError(cause, path);
  });
  try {
    await assertReadable(file, path);
    const text = await file.readFile("utf8").catch((cause: unknown) => {
      throw toFileError(cause, path);
    });
    return parseTokens(text, path);
  } finally {
    await file.close();
  }
}

async function assertReadable(file: FileHandle, path: string): Promise<void> {
  const facts = await file.stat();
  if (!facts.isFile()) {
    const message = `"${path}" is no regular file, which could be read again when it changes; write the tokens into one`;
    throw new InvalidInputError("FIELD_INVALID", message, { path });
  }
  if (facts.size > maxFileBytes) {
    const message = `"${path}" has ${facts.size} bytes; a file of tokens has ${maxFileBytes} at most`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { path, found: facts.size, allowed: maxFileBytes });
  }
  if (process.platform === "win32" || (facts.mode & forbiddenMode) === 0) return;
  const mode = (facts.mode & 0o777).toString(8).padStart(3, "0");
  const message = `"${path}" may be read or changed by others (mode ${mode}); chmod 600 it, or 640 for a group that reads it`;
  throw new AccessDeniedError("ACCESS_DENIED", message, { path, mode });
}
