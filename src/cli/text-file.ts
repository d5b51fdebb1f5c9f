import { readFile } from "node:fs/promises";
import { text as readText } from "node:stream/consumers";
import { toFileError } from "../weights/to-file-error.js";
import { usageError } from "./exit-codes.js";

/**
 * Reads a file of text that an option names; `-` is standard input.
 *
 * @param what names it in messages: `--queries`.
 * @throws CommandError that says what is wrong with the file.
 */
export async function readTextFile(what: string, path: string): Promise<string> {
  return (path === "-" ? readText(process.stdin) : readFile(path, "utf8")).catch((cause: unknown) => {
    throw usageError(`${what}: ${toFileError(cause, path).message}`);
  });
}
