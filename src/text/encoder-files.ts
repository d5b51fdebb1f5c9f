import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import {
  AccessDeniedError,
  CorruptDataError,
  LimitExceededError,
  NotFoundError,
  type ProbestreamError,
  UnavailableError,
} from "../errors/probestream-error.js";

/** The files of a text encoder's folder, named as Hugging Face does. */
export const encoderFiles = {
  model: "model.onnx",
  tokenizer: "tokenizer.json",
  /** May be absent. */
  tokenizerConfig: "tokenizer_config.json",
} as const;

/** 128 MiB: the largest vocabulary seen (262,144 tokens with their merges) takes 33 MB. */
const maxJsonBytes = 128 * 1024 ** 2;

/**
 * Reads a JSON file of an encoder's folder.
 *
 * @throws CorruptDataError `CORRUPT` if it is no JSON object, LimitExceededError `LIMIT_EXCEEDED` above 128 MiB, and
 * NotFoundError `FILE_NOT_FOUND`, AccessDeniedError or UnavailableError if it cannot be read.
 */
export async function readJsonObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readText(path);
  const value = parseJson(text, path);
  if (isObject(value)) return value;
  throw new CorruptDataError("CORRUPT", `"${path}" must hold a JSON object; it holds ${text.slice(0, 40)}`, { path });
}

/**
 * SHA-256 of a file in lower-case hexadecimal. Memory: one piece of 64 KiB.
 *
 * @throws NotFoundError `FILE_NOT_FOUND`, AccessDeniedError or UnavailableError if it cannot be read.
 */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
  } catch (cause) {
    throw toReadError(cause, path);
  }
  return hash.digest("hex");
}

/** Whether a JSON value is an object, which a list and null are not. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size <= maxJsonBytes) return await readFile(path, "utf8");
    const message = `"${path}" has ${size} bytes; at most ${maxJsonBytes} are read`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { path, size, max: maxJsonBytes });
  } catch (cause) {
    throw cause instanceof LimitExceededError ? cause : toReadError(cause, path);
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CorruptDataError("CORRUPT", `"${path}" is not JSON: ${String(cause)}`, { path }, { cause });
  }
}

function toReadError(cause: unknown, path: string): ProbestreamError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const facts = { path, code };
  if (code === "ENOENT" || code === "ENOTDIR") {
    const message = `There is no file "${path}"; a text encoder is a folder with ${encoderFiles.model} and ${encoderFiles.tokenizer}.`;
    return new NotFoundError("FILE_NOT_FOUND", message, facts, { cause });
  }
  if (code === "EACCES" || code === "EPERM") {
    const message = `"${path}" may not be read by this user; change its permissions.`;
    return new AccessDeniedError("ACCESS_DENIED", message, facts, { cause });
  }
  const message = `"${path}" could not be read (${code}); check the path and the disk.`;
  return new UnavailableError("SOURCE_UNAVAILABLE", message, facts, { cause });
}
