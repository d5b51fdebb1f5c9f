import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CommandError, exitCodes, usageError } from "./exit-codes.js";

/**
 * Guards that the folder of a file that an option names can be written to.
 *
 * @throws CommandError if not, or if there is no such folder.
 */
export async function assertWritable(option: string, path: string): Promise<void> {
  await access(dirname(path), constants.W_OK).catch(() => {
    throw usageError(`${option}: ${dirname(path)} is no folder that can be written to`);
  });
}

/**
 * Guards that a file can be made under a name, or take the place of one that is there.
 *
 * @param example a name to give instead, where this one is a folder's.
 * @throws CommandError as {@link assertWritable}, and for the name of a folder.
 */
export async function assertFilePlace(option: string, path: string, example?: string): Promise<void> {
  await assertWritable(option, path);
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory() !== true) return;
  throw usageError(`${option}: ${path} is a folder; name a file${example === undefined ? "" : `, such as ${example}`}`);
}

/** The error for a file that could not be written after all: the disk is full, say. */
export function notWritten(option: string, path: string, cause: unknown): CommandError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new CommandError(`${option}: ${path} could not be written: ${message}`, exitCodes.unusable, { cause });
}
