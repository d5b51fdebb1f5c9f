import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Catalogue, openCatalogue } from "../../src/experts/catalogue.js";
import { describeExpert, type Expert } from "../../src/experts/expert.js";
import { writeScoreModel } from "../../src/experts/score-calibration-file.js";
import { createRetrieval } from "../../src/retrieval/create-retrieval.js";
import type { RetrievalPort } from "../../src/retrieval/retrieval-port.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import type { TextEncoder } from "../../src/text/text-encoder.js";
import { writeWordEncoder } from "../../src/text/write-word-encoder.js";
import type { Scalar } from "../../src/vectors/filter.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { NewRecord } from "../../src/vectors/vector-record.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { createExpertParameters, type ExpertParameters, writeExpert } from "./expert-folder.js";
import { randomMatrix, randomValues } from "./random.js";

/** Words that the encoder knows. */
export const words = ["red", "green", "blue", "dogs", "cats", "houses", "of", "a", "model"] as const;

/** d_text and r_T of the experts. */
export const textWidth = 5;
export const width = 6;

/** Labels of the classification expert. */
export const classes = ["sun", "moon", "stars"] as const;

/** A catalogue of experts with an encoder and a store, all small and real. */
export interface RetrievalZoo {
  readonly folder: string;
  readonly catalogue: Catalogue;
  readonly encoder: TextEncoder;
  /** Zero-shot, and calibrated: `one` and `two`; zero-shot without a calibration: `plain`; classification: `classes`. */
  readonly experts: Readonly<Record<"one" | "two" | "plain" | "classes", Expert>>;
  readonly parameters: Readonly<Record<"one" | "two" | "plain" | "classes", ExpertParameters>>;
  close(): Promise<void>;
}

const seeds = { one: 11, two: 21, plain: 31, classes: 41 } as const;
type ZooName = keyof typeof seeds;

/** Writes the experts and the encoder. */
export async function createRetrievalZoo(): Promise<RetrievalZoo> {
  const folder = await mkdtemp(join(tmpdir(), "probestream-retrieval-"));
  const vectors = randomMatrix(words.length, textWidth, 5).values;
  await writeWordEncoder(join(folder, "encoder"), { words, vectors, width: textWidth });
  const encoder = await openTextEncoder(join(folder, "encoder"));
  const experts = join(folder, "experts");
  const text = { encoder: encoder.identity, prompt: "a model of {}" };
  const write = async (name: ZooName): Promise<readonly [Expert, ExpertParameters]> => {
    const isZeroshot = name !== "classes";
    const parameters = createExpertParameters({
      objective: isZeroshot ? "zeroshot" : "classification",
      rows: 9,
      columns: 7,
      representationWidth: width,
      headWidth: isZeroshot ? textWidth : classes.length,
      seed: seeds[name],
    });
    const labels = isZeroshot ? ["red", "green", "blue"] : [...classes];
    const manifest = isZeroshot ? { text, labels } : { labels };
    const path = await writeExpert(join(experts, name), parameters, { module: `m.${name}` }, manifest);
    const { spaceId } = await describeExpert(path);
    if (name !== "plain") await calibrate(path, spaceId, isZeroshot, seeds[name]);
    return [await describeExpert(path), parameters];
  };
  const [one, two, plain, last] = [
    await write("one"),
    await write("two"),
    await write("plain"),
    await write("classes"),
  ];
  return {
    folder,
    catalogue: openCatalogue(experts),
    encoder,
    experts: { one: one[0], two: two[0], plain: plain[0], classes: last[0] },
    parameters: { one: one[1], two: two[1], plain: plain[1], classes: last[1] },
    close: async () => {
      await encoder.dispose();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function calibrate(folder: string, spaceId: string, isZeroshot: boolean, seed: number): Promise<void> {
  const scale = { z: 2, cosine: 1, offset: -3 };
  await writeScoreModel(folder, spaceId, {
    objective: isZeroshot ? "zeroshot" : "classification",
    background: { width, values: randomValues(40 * width, seed + 100) },
    labels: isZeroshot ? ["red", "green", "blue"] : [...classes],
    queries: { width, values: randomValues(3 * width, seed + 200) },
    texts: { width: textWidth, values: isZeroshot ? randomValues(3 * textWidth, seed + 300) : new Float32Array(0) },
    radius: isZeroshot ? 1.9 : 0,
    novelty: 0.5,
    text: { seen: scale, unseen: { ...scale, offset: -4 } },
    example: { ...scale, offset: -2 },
    oneOfMany: { seen: 10 },
    ...(!isZeroshot && { anyOfMany: { slope: 0.7, offset: -0.1 } }),
  });
}

/** What a record of a test differs in. */
export interface RecordInit extends Partial<Omit<NewRecord, "metadata">> {
  readonly metadata?: Readonly<Record<string, Scalar>>;
}

/** A record with a seeded representation. */
export function toNewRecord(id: string, seed: number, init: RecordInit = {}): NewRecord {
  return {
    id,
    vector: randomValues(width, seed),
    weightsHash: "",
    fileHash: "",
    tree: "",
    base: "",
    metadata: {},
    claims: {},
    ...init,
  };
}

/** Puts records into the space of an expert. */
export async function fillSpace(
  store: VectorStore,
  { spaceId, name, representationWidth }: Expert,
  records: readonly NewRecord[],
  fill = false,
): Promise<void> {
  await store.ensureSpace({ spaceId, expertName: name, width: representationWidth }, { fill });
  await store.upsert(spaceId, records);
}

/** A retrieval over a memory store of its own. */
export function openZooRetrieval(
  { catalogue, encoder }: RetrievalZoo,
  options: Partial<Parameters<typeof createRetrieval>[0]> = {},
): { readonly store: VectorStore; readonly retrieval: RetrievalPort } {
  const store = options.store ?? createMemoryStore();
  return { store, retrieval: createRetrieval({ store, catalogue, encoders: [encoder], ...options }) };
}

/** Records `model 0`, `model 1` and so on, with seeded representations. */
export function seededRecords(count: number, from = 1000): NewRecord[] {
  return Array.from({ length: count }, (_, index) => toNewRecord(`model ${index}`, from + index));
}
