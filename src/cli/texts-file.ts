import { ProbestreamError } from "../errors/probestream-error.js";
import { readTexts as readTextsFile, type Texts } from "../search/read-texts.js";
import { usageError } from "./exit-codes.js";

/** Reads the file of `--texts`; one that cannot be read is an error of the command line. */
export async function readTexts(path: string, signal: AbortSignal): Promise<Texts> {
  return readTextsFile(path, { signal }).catch((error: unknown) => {
    throw error instanceof ProbestreamError ? usageError(`--texts: ${error.message}`) : error;
  });
}
