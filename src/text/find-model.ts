import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { NotFoundError } from "../errors/probestream-error.js";
import { encoderFiles, toReadError, weightsSuffix } from "./encoder-files.js";

/** The model file of an encoder's folder. */
export interface FoundModel {
  readonly path: string;
  /** SHA-256 of the file, and of the one with its weights after it if there is one; lower-case hexadecimal. */
  readonly identity: string;
}

/**
 * Finds the ONNX model in a folder, by the names of {@link encoderFiles}, and hashes it. Memory: one piece of 64 KiB.
 *
 * @throws NotFoundError `FILE_NOT_FOUND` if there is none, AccessDeniedError or UnavailableError if it cannot be read.
 */
export async function findModel(folder: string): Promise<FoundModel> {
  for (const name of encoderFiles.models) {
    const path = join(folder, name);
    if (!(await isFile(path))) continue;
    const weights = `${path}${weightsSuffix}`;
    const files = (await isFile(weights)) ? [path, weights] : [path];
    return { path, identity: await hashFiles(files) };
  }
  const [, usual, ...others] = encoderFiles.models;
  const path = join(folder, usual);
  const list = [encoderFiles.models[0], ...others].join(", ");
  const message = `There is no file "${path}", nor any of ${list}; a text encoder is a folder with an ONNX model and ${encoderFiles.tokenizer}.`;
  throw new NotFoundError("FILE_NOT_FOUND", message, { path });
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (cause) {
    const error = toReadError(cause, path);
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

async function hashFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) {
    try {
      for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
    } catch (cause) {
      throw toReadError(cause, path);
    }
  }
  return hash.digest("hex");
}
