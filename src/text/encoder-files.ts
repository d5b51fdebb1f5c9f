import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  AccessDeniedError,
  CorruptDataError,
  LimitExceededError,
  NotFoundError,
  type ProbestreamError,
  UnavailableError,
} from "../errors/probestream-error.js";

/** Files of a text encoder's folder, named and placed as Hugging Face does; all but a model and the tokenizer may be absent. */
export const encoderFiles = {
  /** The first that is there is used. `model.onnx` of a repository that has both holds a picture tower besides. */
  models: ["text_model.onnx", "model.onnx", "onnx/text_model.onnx", "onnx/model.onnx"],
  tokenizer: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  modelConfig: "config.json",
  /** What sentence-transformers does with the model's output. */
  modules: "modules.json",
  pooling: "1_Pooling/config.json",
  sentenceConfig: "sentence_bert_config.json",
} as const;

/** What is appended to a model's name for the file that holds its weights, where they are not in it. */
export const weightsSuffix = "_data";

/** 128 MiB: the largest vocabulary seen (262,144 tokens with their merges) takes 33 MB. */
const maxJsonBytes = 128 * 1024 ** 2;

/**
 * Reads a JSON file of an encoder's folder.
 *
 * @throws CorruptDataError `CORRUPT` if it is no JSON object, LimitExceededError `LIMIT_EXCEEDED` above 128 MiB, and
 * NotFoundError `FILE_NOT_FOUND`, AccessDeniedError or UnavailableError if it cannot be read.
 */
export async function readJsonObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  const value = await readJson(path);
  if (isObject(value)) return value;
  const found = JSON.stringify(value).slice(0, 40);
  throw new CorruptDataError("CORRUPT", `"${path}" must hold a JSON object; it holds ${found}`, { path });
}

/** Reads a JSON file that may be absent. Throws as {@link readJsonObject} does, but for a file that is not there. */
export async function readOptionalJson(folder: string, name: string): Promise<unknown> {
  try {
    return await readJson(join(folder, name));
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** Whether a JSON value is an object, which a list and null are not. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What it means that a file of an encoder could not be read. */
export function toReadError(cause: unknown, path: string): ProbestreamError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const facts = { path, code };
  if (code === "ENOENT" || code === "ENOTDIR") {
    const message = `There is no file "${path}"; a text encoder is a folder with model.onnx and ${encoderFiles.tokenizer}.`;
    return new NotFoundError("FILE_NOT_FOUND", message, facts, { cause });
  }
  if (code === "EACCES" || code === "EPERM") {
    const message = `"${path}" may not be read by this user; change its permissions.`;
    return new AccessDeniedError("ACCESS_DENIED", message, facts, { cause });
  }
  const message = `"${path}" could not be read (${code}); check the path and the disk.`;
  return new UnavailableError("SOURCE_UNAVAILABLE", message, facts, { cause });
}

async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CorruptDataError("CORRUPT", `"${path}" is not JSON: ${String(cause)}`, { path }, { cause });
  }
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
