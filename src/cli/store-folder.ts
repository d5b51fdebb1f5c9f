import { readdir } from "node:fs/promises";
import { fileName } from "../vectors/stores/lmdb/prepare-folder.js";
import { CommandError, exitCodes, usageError } from "./exit-codes.js";

/**
 * Guards a folder that is only read from: opening it would make a store of what is none.
 *
 * @throws CommandError if there is no store in it.
 */
export async function assertStoreThere(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  if (names.includes(fileName)) return;
  const message = `there is no catalogue in "${folder}"; check --store, or fill one there with \`probestream index MODELS --local\``;
  throw new CommandError(message, exitCodes.unusable);
}

/**
 * Guards a folder that may become a store: a new or empty one, or a store. What a file system puts into every volume and
 * hidden files do not count.
 *
 * @throws CommandError if something else is in it.
 */
export async function assertMayBeStore(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  if (names.some((name) => name.startsWith(fileName))) return;
  const other = names.find((name) => !name.startsWith(".") && name !== "lost+found");
  if (other === undefined) return;
  throw usageError(
    `--store: "${folder}" is no store, and not empty: it has ${JSON.stringify(other)}; name a store, or a folder that is empty or not there`,
  );
}
