import { join } from "node:path";
import { InvalidInputError, NotFoundError } from "../errors/probestream-error.js";
import { encoderFiles, isObject, readOptionalJson } from "./encoder-files.js";

/** How a text's vector is made of those of its tokens: their mean, the first's, the last's, or the end-of-text token's. */
export type Pooling = "mean" | "cls" | "last" | "end";

/** What an encoder's folder says besides its model and its tokenizer. */
export interface EncoderSettings {
  /** A text tower of CLIP or SigLIP, or what it is else. */
  readonly family: "clip" | "siglip" | "other";
  readonly pooling: Pooling;
  /** Vectors are scaled to unit length. */
  readonly isNormalized: boolean;
  /** Tokens at most, by sentence-transformers' settings, which stand above those of the tokenizer. */
  readonly sentenceTokens?: number;
  /** Positions that the model knows: the last resort where nothing else says how many tokens it takes. */
  readonly positions?: number;
  /** A step of sentence-transformers after pooling that is no part of the model, and that nothing here can do. */
  readonly missingStep?: string;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads `config.json`, and what sentence-transformers writes, where they are there. Without them it is the tokenizer that
 * tells a tower of CLIP, by its `<|startoftext|>`, and tokens are pooled by their mean.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a way of pooling that is not known; NotFoundError `FILE_NOT_FOUND` if
 * `modules.json` names a way of pooling that is not there; CorruptDataError `CORRUPT` for a file
 * that is no JSON; what reading throws.
 */
export async function readEncoderSettings(folder: string, hasClipTokens: boolean): Promise<EncoderSettings> {
  const config = toObject(await readOptionalJson(folder, encoderFiles.modelConfig));
  const text = toObject(config["text_config"]);
  const modules = await readModules(folder);
  const sentence = toObject(await readOptionalJson(folder, encoderFiles.sentenceConfig));
  const family = toFamily(config, hasClipTokens);
  const step = modules.find(({ type }) => type === "Pooling")?.path;
  const poolingPath = step === undefined ? encoderFiles.pooling : join(step, "config.json");
  const found = await readOptionalJson(folder, poolingPath);
  if (found === undefined && step !== undefined) {
    const message = `There is no file "${join(folder, poolingPath)}", of which modules.json speaks; it says how tokens are pooled`;
    throw new NotFoundError("FILE_NOT_FOUND", message, { path: join(folder, poolingPath) });
  }
  const missingStep = modules.find(({ type }) => !["Transformer", "Pooling", "Normalize"].includes(type))?.type;
  const sentenceTokens = toCount(sentence["max_seq_length"]);
  const positions = toCount(text["max_position_embeddings"] ?? config["max_position_embeddings"]);
  return {
    family,
    pooling: toPooling(toObject(found), join(folder, poolingPath)) ?? (family === "clip" ? "end" : "mean"),
    isNormalized: modules.some(({ type }) => type === "Normalize"),
    ...(sentenceTokens !== undefined && { sentenceTokens }),
    ...(positions !== undefined && { positions }),
    ...(missingStep !== undefined && { missingStep }),
  };
}

/** The steps of `modules.json`; `type` is a Python class, of which the last word is kept. */
async function readModules(folder: string): Promise<{ readonly type: string; readonly path: string }[]> {
  const list = await readOptionalJson(folder, encoderFiles.modules);
  if (!Array.isArray(list)) return [];
  return list.filter(isObject).map(({ type, path }) => ({
    type: String(type).split(".").at(-1) ?? "",
    path: String(path),
  }));
}

function toFamily(config: Json, hasClipTokens: boolean): EncoderSettings["family"] {
  const type = config["model_type"];
  if (typeof type !== "string") return hasClipTokens ? "clip" : "other";
  if (type.startsWith("siglip")) return "siglip";
  return type === "clip" || type.startsWith("clip_") ? "clip" : "other";
}

/** Ways of pooling by the names of sentence-transformers. */
const poolings: Readonly<Record<string, Pooling>> = {
  mean: "mean",
  mean_tokens: "mean",
  cls: "cls",
  cls_token: "cls",
  lasttoken: "last",
};

/** Older files have a switch per way, newer ones its name. */
function toPooling(config: Json, where: string): Pooling | undefined {
  const prefix = "pooling_mode_";
  const switches = Object.keys(config).filter((key) => key.startsWith(prefix) && config[key] === true);
  const names =
    typeof config["pooling_mode"] === "string"
      ? [config["pooling_mode"]]
      : switches.map((key) => key.slice(prefix.length));
  const [name] = names;
  if (name === undefined) return undefined;
  const pooling = Object.hasOwn(poolings, name) ? poolings[name] : undefined;
  if (pooling !== undefined && names.length === 1) return pooling;
  const message = `${where} pools by ${names.join(" and ")}; one of mean_tokens, cls_token and lasttoken is known. Export the model with its pooling, as the output sentence_embedding.`;
  throw new InvalidInputError("FIELD_INVALID", message, { pooling: names.join(" ") });
}

function toObject(value: unknown): Json {
  return isObject(value) ? value : {};
}

function toCount(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 1 ? (value as number) : undefined;
}
