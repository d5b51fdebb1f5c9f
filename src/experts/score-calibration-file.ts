import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CorruptDataError } from "../errors/probestream-error.js";
import type { Rows } from "../linalg/rows.js";
import { createMemorySource } from "../weights/memory-source.js";
import { readTensors } from "../weights/safetensors-file.js";
import { encodeSafetensors, float32Bytes, fromFloat32Bytes, type TensorData } from "../weights/safetensors-writer.js";
import { createScoreCalibration } from "./create-score-calibration.js";
import { type Expert, readExpertManifest } from "./expert.js";
import type { ReadScoreCalibration } from "./score-calibration.js";
import type { BySight, LabelSoftmax, ScoreModel, ScoreScale } from "./score-calibration-model.js";
import { updateManifest } from "./update-manifest.js";

/** File of an expert folder that holds what scores are told by. */
export const scoresFileName = "scores.safetensors";
const format = "probestream-scores/1";
/** 512 MiB: 21,000 labels of 512 numbers take 43 MB. */
const maxScoresBytes = 536_870_912;

/**
 * Writes a calibration into an expert folder: {@link scoresFileName}, then the key `calibration.scores` of `expert.json`
 * that names it with its hash. The space id stays as it is.
 *
 * @param spaceId the expert's: the file is of no use to another.
 */
export async function writeScoreModel(folder: string, spaceId: string, model: ScoreModel): Promise<void> {
  const { background, labels, queries, texts, radius, novelty, text, example, oneOfMany, anyOfMany } = model;
  const tensors = Object.entries({ background, queries, texts }).flatMap(([name, { width, values }]): TensorData[] =>
    values.length === 0
      ? []
      : [{ name, dtype: "F32", shape: [values.length / width, width], bytes: float32Bytes(values) }],
  );
  const bytes = encodeSafetensors(tensors, { format, space_id: spaceId, labels: JSON.stringify(labels) });
  const scores = {
    file: scoresFileName,
    sha256: sha256(bytes),
    ...{ text, example, oneOfMany, anyOfMany, novelty, radius },
  };
  await updateManifest(folder, { [scoresFileName]: bytes }, (manifest) => ({
    ...manifest,
    calibration: { ...toRecord(manifest["calibration"]), scores },
  }));
}

/** What changes when an expert's scores are calibrated anew; empty where there is no calibration. */
export function toScoreKey({ extra }: Pick<Expert, "extra">): string {
  const scores = scoresOf(extra);
  return scores === undefined ? "" : JSON.stringify(scores);
}

/**
 * Reads the calibration of an expert; undefined if it has none. One that is replaced meanwhile is read again.
 *
 * @throws CorruptDataError `CORRUPT` if what is stored is damaged or belongs to another expert.
 */
export const readScoreCalibration: ReadScoreCalibration = async (expert) => {
  const model = await readScoreModel(expert, expert.extra).catch(async (error: unknown) => {
    const { extra } = await readExpertManifest(expert.folder);
    if (toScoreKey({ extra }) === toScoreKey(expert)) throw error;
    return readScoreModel(expert, extra);
  });
  return model && createScoreCalibration(model);
};

/** Reads what is stored of an expert's scores; see {@link readScoreCalibration}. */
export async function readScoreModel(
  { folder, spaceId, objective, representationWidth, textWidth }: Expert,
  extra: Expert["extra"],
): Promise<ScoreModel | undefined> {
  const scores = scoresOf(extra);
  if (scores === undefined) return undefined;
  const path = join(folder, scoresFileName);
  const fail = (what: string, cause?: unknown): CorruptDataError =>
    new CorruptDataError(
      "CORRUPT",
      `the scores of ${folder} cannot be used: ${what}; calibrate them anew with \`probestream experts calibrate\``,
      { path },
      { cause },
    );
  if (scores["file"] !== scoresFileName) throw fail(`"file" is not "${scoresFileName}"`);
  const bytes = await readWhole(path).catch((cause: unknown) => {
    throw fail(`${path} cannot be read (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  });
  const found = sha256(bytes);
  if (found !== scores["sha256"])
    throw fail(`${path} has the SHA-256 ${found.slice(0, 12)}…, expert.json says another`);
  const { tensors, metadata } = await readTensors(createMemorySource(bytes, path)).catch((cause: unknown) => {
    throw fail(`${path} is no safetensors file`, cause);
  });
  const owner = metadata.get("space_id");
  if (metadata.get("format") !== format) throw fail(`${path} is not of the format ${format}`);
  if (owner !== spaceId) throw fail(`${path} belongs to the expert ${String(owner).slice(0, 12)}…`);
  const take = (name: string, width: number): Rows => {
    const tensor = tensors.get(name);
    if (tensor === undefined) return { width, values: new Float32Array(0) };
    if (tensor.dtype !== "F32" || tensor.shape[1] !== width) throw fail(`${name} is not F32 and ${width} wide`);
    return { width, values: fromFloat32Bytes(tensor.bytes) };
  };
  const toScale = (value: unknown): ScoreScale | undefined => {
    if (value === undefined) return undefined;
    const { z, cosine, offset } = toRecord(value);
    if (!isAtLeast0(z) || !isAtLeast0(cosine) || z + cosine === 0 || !isNumber(offset))
      throw fail("a scale is malformed");
    return { z, cosine, offset };
  };
  const toFactor = (value: unknown): number | undefined => {
    if (value === undefined || (isAtLeast0(value) && value > 0)) return value;
    throw fail("a factor of softmax is malformed");
  };
  const bySight = <T>(value: unknown, take1: (own: unknown) => T | undefined): BySight<T> => {
    const { seen, unseen } = toRecord(value);
    const [own, other] = [take1(seen), take1(unseen)];
    return { ...(own !== undefined && { seen: own }), ...(other !== undefined && { unseen: other }) };
  };
  const toSoftmax = (value: unknown): LabelSoftmax => {
    const factors = bySight(value, toFactor);
    if (factors.seen === undefined || factors.unseen === undefined) return factors;
    const { offset: own } = toRecord(value);
    if (!isNumber(own)) throw fail("the offset of new labels is malformed");
    return { ...factors, offset: own };
  };
  const { novelty, radius } = scores;
  if (!isAtLeast0(novelty) || !isAtLeast0(radius)) throw fail("novelty or radius is malformed");
  const example = toScale(scores["example"]);
  const { slope, offset } = toRecord(scores["anyOfMany"]);
  const labels: unknown = JSON.parse(metadata.get("labels") ?? "[]");
  const queries = take("queries", representationWidth);
  if (!isTexts(labels) || labels.length * representationWidth !== queries.values.length) {
    throw fail("labels and their queries are not equally many");
  }
  return {
    objective,
    background: take("background", representationWidth),
    labels,
    queries,
    texts: take("texts", textWidth),
    ...{ radius, novelty },
    text: bySight(scores["text"], toScale),
    ...(example !== undefined && { example }),
    oneOfMany: toSoftmax(scores["oneOfMany"]),
    ...(isAtLeast0(slope) && isNumber(offset) && { anyOfMany: { slope, offset } }),
  };
}

async function readWhole(path: string): Promise<Uint8Array> {
  const { size } = await stat(path);
  if (size > maxScoresBytes) throw new Error(`it has ${size} bytes; ${maxScoresBytes} are allowed`);
  return readFile(path);
}

function scoresOf(extra: Expert["extra"]): Record<string, unknown> | undefined {
  const { scores } = toRecord(extra["calibration"]);
  return scores === undefined ? undefined : toRecord(scores);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isAtLeast0(value: unknown): value is number {
  return isNumber(value) && value >= 0;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
