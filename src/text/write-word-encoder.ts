import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InvalidInputError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import { encodeGraph, type Graph } from "../onnx/graph.js";
import { makeFolder } from "../system/make-folder.js";
import { encoderFiles } from "./encoder-files.js";

/** Words and their vectors. */
export interface WordVectors {
  /** In lower case, of letters, marks, digits and apostrophes; each once. */
  readonly words: readonly string[];
  /** One per word, row-major: words × width. */
  readonly vectors: Float32Array;
  readonly width: number;
}

/** Tokens before the words; their vectors are zeros. */
const specialTokens = ["[PAD]", "[UNK]"] as const;

/** What the tokenizer takes for a word, in the syntax that its two implementations (Rust, JavaScript) share. */
const wordPattern = String.raw`[\p{L}\p{M}\p{N}']+`;

/** Norms below it are no direction: the vector of a text without a known word stays 0. */
const minNorm = 1e-12;

/**
 * Writes a small text encoder: a folder, made if it is absent, with `model.onnx` and `tokenizer.json`. A text's vector is
 * the mean of its words' vectors, scaled to unit length; unknown words count as vectors of zeros, and a text of nothing
 * else has zeros.
 *
 * Memory: the vectors three times.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a word that the tokenizer cannot find in a text, `DUPLICATE` for one that
 * stands twice, `SHAPE_MISMATCH` if the vectors are not words × width, `NON_FINITE` for NaN or infinity. What the file
 * system throws.
 */
export async function writeWordEncoder(folder: string, { words, vectors, width }: WordVectors): Promise<void> {
  assertWords(words);
  assertVectors(vectors, words.length, width);
  await makeFolder(folder);
  await writeFile(join(folder, "model.onnx"), encodeGraph(toGraph(vectors, width)));
  await writeFile(join(folder, encoderFiles.tokenizer), JSON.stringify(toTokenizer(words)));
}

function assertWords(words: readonly string[]): void {
  const whole = new RegExp(`^${wordPattern}$`, "u");
  const seen = new Set<string>();
  for (const word of words) {
    if (!whole.test(word) || word !== word.toLowerCase()) {
      const message = `the word "${word}" must be in lower case, of letters, marks, digits and apostrophes`;
      throw new InvalidInputError("FIELD_INVALID", message, { word });
    }
    if (seen.has(word)) throw new InvalidInputError("DUPLICATE", `the word "${word}" stands twice`, { word });
    seen.add(word);
  }
}

function assertVectors(vectors: Float32Array, count: number, width: number): void {
  if (!Number.isSafeInteger(width) || width < 1 || vectors.length !== count * width) {
    const message = `${vectors.length} numbers are no vectors of ${count} words, ${width} wide`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { count, width });
  }
  if (!allFinite(vectors)) throw new InvalidInputError("NON_FINITE", "a word's vector holds NaN or infinity");
}

function toTokenizer(words: readonly string[]): object {
  const [padToken, unknownToken] = specialTokens;
  const vocabulary = [...specialTokens, ...words].map((word, id) => [word, id] as const);
  return {
    version: "1.0",
    truncation: null,
    padding: {
      strategy: "BatchLongest",
      direction: "Right",
      pad_to_multiple_of: null,
      pad_id: specialTokens.indexOf(padToken),
      pad_type_id: 0,
      pad_token: padToken,
    },
    added_tokens: [],
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "Split", pattern: { Regex: wordPattern }, behavior: "Removed", invert: true },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab: Object.fromEntries(vocabulary), unk_token: unknownToken },
  };
}

function toGraph(vectors: Float32Array, width: number): Graph {
  const table = new Float32Array(specialTokens.length * width + vectors.length);
  table.set(vectors, specialTokens.length * width);
  return {
    name: "words",
    inputs: [
      { name: "input_ids", type: "int64", shape: ["batch", "sequence"] },
      { name: "attention_mask", type: "int64", shape: ["batch", "sequence"] },
    ],
    outputs: [{ name: "text_embeds", type: "float32", shape: ["batch", width] }],
    constants: [
      { name: "table", shape: [table.length / width, width], values: table },
      { name: "sequence_axis", shape: [1], values: BigInt64Array.of(1n) },
      { name: "last_axis", shape: [1], values: BigInt64Array.of(2n) },
      { name: "one", shape: [], values: Float32Array.of(1) },
      { name: "min_norm", shape: [], values: Float32Array.of(minNorm) },
    ],
    nodes: [
      { op: "Gather", inputs: ["table", "input_ids"], outputs: ["vectors"] },
      { op: "Cast", inputs: ["attention_mask"], outputs: ["weights"], attributes: { to: { int: 1 } } },
      { op: "Unsqueeze", inputs: ["weights", "last_axis"], outputs: ["column"] },
      { op: "Mul", inputs: ["vectors", "column"], outputs: ["weighted"] },
      {
        op: "ReduceSum",
        inputs: ["weighted", "sequence_axis"],
        outputs: ["sum"],
        attributes: { keepdims: { int: 0 } },
      },
      { op: "ReduceSum", inputs: ["weights", "sequence_axis"], outputs: ["count"] },
      { op: "Max", inputs: ["count", "one"], outputs: ["divisor"] },
      { op: "Div", inputs: ["sum", "divisor"], outputs: ["mean"] },
      { op: "ReduceL2", inputs: ["mean"], outputs: ["norm"], attributes: { axes: { ints: [1] } } },
      { op: "Max", inputs: ["norm", "min_norm"], outputs: ["scale"] },
      { op: "Div", inputs: ["mean", "scale"], outputs: ["text_embeds"] },
    ],
  };
}
