import { createHash } from "node:crypto";
import { link, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Matrix } from "../../src/compute/compute-backend.js";
import { describeExpert } from "../../src/experts/expert.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import { writeWordEncoder } from "../../src/text/write-word-encoder.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";
import { hasOpenssl, writeCertificates } from "../../test/helpers/certificates.js";
import { createExpertParameters, toTensor, writeExpert } from "../../test/helpers/expert-folder.js";
import { goldenNames, readGoldenCase, writeGoldenExpert, writeGoldenModels } from "../../test/helpers/golden.js";
import { randomMatrix } from "../../test/helpers/random.js";
import { toDigest } from "../../test/helpers/rpc-messages.js";
import {
  exactRepresentation,
  largeLayer,
  smallExpert,
  smallLayer,
  smallWeights,
  writeLargeExpert,
} from "../../test/helpers/small-experts.js";
import type { Json } from "./conformance-case.js";

/** The seeded experts, models, keys and right answers that cases speak of. */
export interface World {
  readonly folder: string;
  /** Folder of expert folders. */
  readonly experts: string;
  readonly models: string;
  /** Folder of the text encoder that the small expert names; it knows five words. */
  readonly encoder: string;
  /** Space of the small expert. */
  readonly smallSpace: string;
  /** Whether there are keys and certificates. */
  readonly hasCertificates: boolean;
  /** The value of a name that cases may use; throws for others. */
  valueOf(name: string): Json;
  /** Gives the large file another name, under which nobody has uploaded it, and returns its path. */
  nameLarge(name: string): Promise<string>;
  remove(): Promise<void>;
}

/** Small models; cases call them `small.1` to `small.8`. */
const smallCount = 8;

/** Makes the world in a temporary folder. */
export async function createWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "probestream-conformance-"));
  const [experts, models] = [join(folder, "experts"), join(folder, "models")];
  const values = new Map<string, Json>([
    ["world", folder],
    ["models", models],
  ]);
  try {
    await mkdir(models, { recursive: true });
    await writeGolden(experts, models, values);
    const encoder = join(folder, "encoder");
    await writeWords(encoder);
    const smallSpace = await writeSmall(experts, models, encoder, values);
    const large = await writeLarge(experts, folder, values);
    await writeUnfit(experts, models);
    if (hasOpenssl) await writeCertificates(folder);
    return {
      folder,
      experts,
      models,
      encoder,
      smallSpace,
      hasCertificates: hasOpenssl,
      valueOf: (name) => {
        const value = values.get(name);
        if (value === undefined) throw new Error(`no value ${name}`);
        return value;
      },
      nameLarge: async (name) => {
        const path = join(models, `large-${name}.safetensors`);
        await link(large, path);
        return path;
      },
      remove: () => rm(folder, { recursive: true, force: true }),
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function writeGolden(experts: string, models: string, values: Map<string, Json>): Promise<void> {
  for (const name of goldenNames) {
    const golden = await readGoldenCase(name);
    await writeGoldenExpert(golden, experts);
    await writeGoldenModels(golden, models);
    for (const [i, { representation, logits }] of golden.expected.entries()) {
      if (representation !== undefined) values.set(`golden.${name}.${i}.representation`, [...representation]);
      values.set(`golden.${name}.${i}.scores`, [...logits]);
    }
    const { texts } = golden;
    if (texts !== undefined) values.set(`golden.${name}.texts`, toRows(texts));
  }
}

/** A text encoder of five words, each a direction of its own. */
async function writeWords(folder: string): Promise<void> {
  const words = ["night", "paint", "noise", "sea", "wood"];
  const vectors = Float32Array.from({ length: 25 }, (_, i) => (i % 6 === 0 ? 1 : 0));
  await writeWordEncoder(folder, { words, vectors, width: 5 });
}

/** Writes the small expert and its models, and gives the expert's space. */
async function writeSmall(
  experts: string,
  models: string,
  encoder: string,
  values: Map<string, Json>,
): Promise<string> {
  const opened = await openTextEncoder(encoder);
  const text = { encoder: opened.identity, prompt: "{}" };
  await opened.dispose();
  const folder = await writeExpert(join(experts, "small"), smallExpert, {}, { text, labels: ["night", "sea"] });
  const other = toTensor("m.other.weight", randomMatrix(2, 2, 1));
  for (let i = 1; i <= smallCount; i++) {
    const weights = smallWeights(i);
    const tensor = toTensor("m.fc.weight", weights);
    const file = encodeSafetensors([tensor, other], { made: "for conformance", number: String(i) });
    await writeFile(join(models, `small-${i}.safetensors`), file);
    if (i === 6) await writeFile(join(models, "模型 ünï 🎨.safetensors"), file);
    values.set(`small.${i}.representation`, [...exactRepresentation(smallExpert, weights)]);
    values.set(`small.${i}.base64`, Buffer.from(tensor.bytes).toString("base64"));
    values.set(`small.${i}.digest`, Buffer.from(toDigest([tensor.bytes])).toString("base64"));
  }
  const cut = smallWeights(1).values.map((value) => {
    const bits = new Uint32Array(Float32Array.of(value).buffer);
    return new Float32Array(Uint32Array.of((bits[0] ?? 0) & 0xffff0000).buffer)[0] ?? 0;
  });
  const bytes = float32Bytes(cut).filter((_, i) => i % 4 >= 2);
  const shape = [smallLayer.rows, smallLayer.columns];
  const short = encodeSafetensors([{ name: "m.fc.weight", dtype: "BF16", shape, bytes }]);
  await writeFile(join(models, "small-bf16.safetensors"), short);
  values.set("small.bf16.representation", [...exactRepresentation(smallExpert, { ...smallLayer, values: cut })]);
  await writeShards(models, toTensor("m.fc.weight", smallWeights(1)), other);
  const { spaceId } = await describeExpert(folder);
  values.set("spaces.small", spaceId);
  return spaceId;
}

/** A model in two shards; and one whose index says of each tensor that it is in the other. */
async function writeShards(models: string, weight: TensorData, other: TensorData): Promise<void> {
  const [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  for (const [name, homes] of [
    ["sharded", { [other.name]: first, [weight.name]: second }],
    ["mixed-up", { [other.name]: second, [weight.name]: first }],
  ] as const) {
    const path = join(models, name);
    await mkdir(path);
    await writeFile(join(path, first), encodeSafetensors([other]));
    await writeFile(join(path, second), encodeSafetensors([weight]));
    const index = JSON.stringify({ metadata: { total_size: 496 }, weight_map: homes });
    await writeFile(join(path, "model.safetensors.index.json"), index);
  }
}

async function writeLarge(experts: string, folder: string, values: Map<string, Json>): Promise<string> {
  await writeLargeExpert(experts);
  const tensor = toTensor("m.big.weight", randomMatrix(largeLayer.rows, largeLayer.columns, 1));
  const path = join(folder, "large.safetensors");
  await writeFile(path, encodeSafetensors([tensor]));
  values.set("large.hash", Buffer.from(toDigest([tensor.bytes])).toString("hex"));
  return path;
}

/** Files that are to be refused, a folder that holds no usable expert, and two experts that fit the same layer. */
async function writeUnfit(experts: string, models: string): Promise<void> {
  const write = (name: string, bytes: Uint8Array): Promise<void> =>
    writeFile(join(models, `${name}.safetensors`), bytes);
  const whole = encodeSafetensors([toTensor("m.fc.weight", smallWeights(1))]);
  await write("cut-short", whole.subarray(0, whole.length - 100));
  await write("pickled", Uint8Array.of(0x80, 0x02, 0x7d, 0x71, 0x00, 0x2e, ...new Uint8Array(64)));
  await write("no-json", Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from("{nonsense")));
  await write("long-header", Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, ...Buffer.from('{"a":1}')));
  await write("no-layer", encodeSafetensors([toTensor("m.other.weight", randomMatrix(2, 2, 1))]));
  await write("misshapen", encodeSafetensors([toTensor("m.fc.weight", randomMatrix(10, 10, 1))]));
  const integers = {
    name: "m.fc.weight",
    dtype: "I32",
    shape: [smallLayer.rows, smallLayer.columns],
    bytes: new Uint8Array(480),
  };
  await write("integers", encodeSafetensors([integers]));
  await write("nan", encodeSafetensors([toTensor("m.fc.weight", withNan(smallWeights(1), 3, 4))]));
  await write("twin", encodeSafetensors([toTensor("m.twin.weight", randomMatrix(4, 3, 1))]));
  for (const [seed, name] of ["twin-a", "twin-b"].entries()) {
    const parameters = createExpertParameters({ rows: 4, columns: 3, seed: 50 + 10 * seed });
    await writeExpert(join(experts, name), parameters, { module: "m.twin" });
  }
  await mkdir(join(experts, "broken"));
  await writeFile(join(experts, "broken", "expert.json"), "{");
}

function withNan({ rows, columns, values }: Matrix, row: number, column: number): Matrix {
  const copy = values.slice();
  copy[row * columns + column] = Number.NaN;
  return { rows, columns, values: copy };
}

function toRows({ rows, columns, values }: Matrix): number[][] {
  return Array.from({ length: rows }, (_, row) => [...values.subarray(row * columns, (row + 1) * columns)]);
}

/** A short name for what a long one stands for. */
export function toShortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}
