import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeGraph, type Graph } from "../../src/onnx/graph.js";

/** What a folder made by {@link writeEchoEncoder} differs in. */
export interface EchoSettings {
  /** The model has an `attention_mask`. */
  readonly mask?: boolean;
  /** The model fixes the number of tokens. */
  readonly length?: number;
  /** Sections of `tokenizer.json`, instead of what it holds else. */
  readonly tokenizer?: Readonly<Record<string, unknown>>;
  /** Content of `tokenizer_config.json`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A tokenizer of the letters a (4) to d (7) between `<s>` (1) and `</s>` (2); `<p>` is 0, `<u>` is 3. */
export const letterTokenizer = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "WhitespaceSplit" },
  post_processor: {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "<s>", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "</s>", type_id: 0 } },
    ],
    pair: [],
    special_tokens: {},
  },
  decoder: null,
  model: {
    type: "WordLevel",
    vocab: { "<p>": 0, "<s>": 1, "</s>": 2, "<u>": 3, a: 4, b: 5, c: 6, d: 7 },
    unk_token: "<u>",
  },
};

/** Writes an encoder whose vectors are the token ids it is given, each and 100 more where `attention_mask` is 1. */
export async function writeEchoEncoder(folder: string, settings: EchoSettings = {}): Promise<void> {
  const { mask = false, length = "sequence", tokenizer = {}, config } = settings;
  await writeEncoder(folder, mask ? maskedEcho(length) : plainEcho(length), { ...letterTokenizer, ...tokenizer });
  if (config !== undefined) await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(config));
}

/** Writes the two files of a text encoder. */
export async function writeEncoder(folder: string, graph: Graph, tokenizer: unknown): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "model.onnx"), encodeGraph(graph));
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
}

/** `input_ids` as numbers. */
export function plainEcho(length: number | string, output = "text_embeds"): Graph {
  return {
    name: "echo",
    inputs: [{ name: "input_ids", type: "int64", shape: ["batch", length] }],
    outputs: [{ name: output, type: "float32", shape: ["batch", length] }],
    constants: [],
    nodes: [{ op: "Cast", inputs: ["input_ids"], outputs: [output], attributes: { to: { int: 1 } } }],
  };
}

function maskedEcho(length: number | string): Graph {
  const echo = plainEcho(length);
  return {
    ...echo,
    inputs: [...echo.inputs, { name: "attention_mask", type: "int64", shape: ["batch", length] }],
    constants: [{ name: "hundred", shape: [1], values: BigInt64Array.of(100n) }],
    nodes: [
      { op: "Mul", inputs: ["attention_mask", "hundred"], outputs: ["raised"] },
      { op: "Add", inputs: ["input_ids", "raised"], outputs: ["sum"] },
      { op: "Cast", inputs: ["sum"], outputs: ["text_embeds"], attributes: { to: { int: 1 } } },
    ],
  };
}
