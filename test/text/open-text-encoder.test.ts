import { mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { ErrorReason } from "../../src/errors/error-reason.js";
import type { Graph } from "../../src/onnx/graph.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import { assertRefused } from "../helpers/assert-refused.js";
import {
  type EchoSettings,
  letterTokenizer,
  plainEcho,
  writeEchoEncoder,
  writeEncoder,
} from "../helpers/echo-encoder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

/** The rows that an echoing encoder gives for texts. */
async function echo(t: ExecutionContext, settings: EchoSettings, texts: readonly string[]): Promise<number[][]> {
  const folder = await createTemporaryFolder(t);
  await writeEchoEncoder(folder, settings);
  const encoder = await openTextEncoder(folder);
  t.teardown(() => encoder.dispose());
  const { rows, columns, values } = await encoder.encode(texts);
  return Array.from({ length: rows }, (_, row) => [...values.subarray(row * columns, (row + 1) * columns)]);
}

test("texts are filled up to the length that the model fixes, and cut to it", async (t) => {
  const tokenizer = { padding: { strategy: "BatchLongest", pad_id: 3 } };
  const found = await echo(t, { length: 5, tokenizer }, ["a", "a b c d", "d"]);
  t.deepEqual(found, [
    [1, 4, 2, 3, 3],
    [1, 4, 5, 6, 2],
    [1, 7, 2, 3, 3],
  ]);
});

test("with an attention_mask texts are filled up to the longest of their batch", async (t) => {
  const found = await echo(t, { mask: true }, ["a", "b c"]);
  t.deepEqual(found, [
    [101, 104, 102, 0],
    [101, 105, 106, 102],
  ]);
});

test("padding and truncation of tokenizer.json are followed", async (t) => {
  const tokenizer = {
    truncation: { direction: "Left", max_length: 4, strategy: "LongestFirst", stride: 0 },
    padding: { strategy: "BatchLongest", direction: "Left", pad_to_multiple_of: 5, pad_id: 3 },
  };
  t.deepEqual(await echo(t, { mask: true, tokenizer }, ["a b c d", "a"]), [
    [3, 101, 106, 107, 102],
    [3, 3, 101, 104, 102],
  ]);
});

test("a model without a mask gets as many tokens as tokenizer_config.json says, or CLIP's 77", async (t) => {
  const config = { model_max_length: 6, pad_token: "</s>" };
  t.deepEqual(await echo(t, { config }, ["a", "a b c d a b"]), [
    [1, 4, 2, 2, 2, 2],
    [1, 4, 5, 6, 7, 2],
  ]);
  const [long] = await echo(t, {}, ["a ".repeat(100)]);
  t.deepEqual(long, [1, ...Array.from({ length: 75 }, () => 4), 2]);
});

test("vectors come in the order of the texts, over many batches", async (t) => {
  const texts = Array.from({ length: 3000 }, (_, index) => "abcd"[index % 4] ?? "");
  const found = await echo(t, { length: 8 }, texts);
  t.deepEqual(
    found.map((row) => row[1]),
    texts.map((_, index) => 4 + (index % 4)),
  );
});

test("an aborted signal ends the work between batches", async (t) => {
  const folder = await createTemporaryFolder(t);
  await writeEchoEncoder(folder);
  const encoder = await openTextEncoder(folder);
  t.teardown(() => encoder.dispose());
  const stop = new AbortController();
  const work = encoder.encode(
    Array.from({ length: 5000 }, () => "a"),
    { signal: stop.signal },
  );
  setImmediate(() => stop.abort(new Error("enough")));
  await t.throwsAsync(work, { message: "enough" });
  await t.throwsAsync(() => encoder.encode(["a"], { signal: AbortSignal.abort(new Error("early")) }), {
    message: "early",
  });
});

test("an empty list, a text of a book's length and an encoder that has ended are refused", async (t) => {
  const folder = await createTemporaryFolder(t);
  await writeEchoEncoder(folder);
  const encoder = await openTextEncoder(folder, { threads: 2 });
  const empty = { kind: "invalid-input", reason: "FIELD_INVALID", message: /no texts to encode/ } as const;
  await assertRefused(t, () => encoder.encode([]), empty);
  await assertRefused(t, () => encoder.encode(["a", "b".repeat(65_537)]), {
    kind: "limit-exceeded",
    reason: "LIMIT_EXCEEDED",
    message: "text 1 is 65537 characters long; at most 65536 are taken, shorten it",
  });
  await encoder.dispose();
  await encoder.dispose();
  await assertRefused(t, () => encoder.encode(["a"]), {
    kind: "internal",
    reason: "INTERNAL",
    message: /after its end/,
  });
  await assertRefused(t, () => openTextEncoder(folder, { threads: 0 }), {
    reason: "FIELD_INVALID",
    message: "threads is 0; it must be a whole number, at least 1",
  });
});

test("files that are absent or damaged are named", async (t) => {
  const folder = await createTemporaryFolder(t);
  const [model, tokenizer] = [join(folder, "model.onnx"), join(folder, "tokenizer.json")];
  const refused = (kind: "not-found" | "corrupt-data" | "unavailable", message: RegExp) =>
    assertRefused(t, () => openTextEncoder(folder), {
      kind,
      reason: (
        { "not-found": "FILE_NOT_FOUND", "corrupt-data": "CORRUPT", unavailable: "SOURCE_UNAVAILABLE" } as const
      )[kind],
      message,
    });
  await refused("not-found", /tokenizer\.json"; a text encoder is a folder with model\.onnx and tokenizer\.json\.$/);
  await writeEchoEncoder(folder);
  await rm(model);
  await refused(
    "not-found",
    /^There is no file ".*\/model\.onnx", nor any of text_model\.onnx, onnx\/text_model\.onnx, onnx\/model\.onnx; a text/,
  );
  await writeFile(model, "no model");
  await refused("corrupt-data", /model\.onnx" cannot be loaded as an ONNX model: .*protobuf/i);
  await writeEchoEncoder(folder);
  await truncate(model, 40);
  await refused("corrupt-data", /model\.onnx" cannot be loaded as an ONNX model/);
  await writeFile(tokenizer, '{"version": "1.0", ');
  await refused("corrupt-data", /tokenizer\.json" is not JSON/);
  await writeFile(tokenizer, "[1, 2]");
  await refused("corrupt-data", /tokenizer\.json" must hold a JSON object; it holds \[1,2\]/);
  await rm(tokenizer);
  await mkdir(tokenizer);
  await refused("unavailable", /tokenizer\.json" could not be read \(EISDIR\)/);
});

test("a tokenizer that is another model's is found out", async (t) => {
  const folder = await createTemporaryFolder(t);
  // A table of three tokens, where the tokenizer's letters begin with the fourth.
  const graph: Graph = {
    ...plainEcho("sequence"),
    constants: [{ name: "table", shape: [3], values: new Float32Array(3) }],
    nodes: [{ op: "Gather", inputs: ["table", "input_ids"], outputs: ["text_embeds"] }],
  };
  await writeEncoder(folder, graph, letterTokenizer);
  await assertRefused(t, () => openTextEncoder(folder), {
    kind: "invalid-input",
    reason: "FIELD_INVALID",
    message: /does not take 1 texts of 77 tokens: .*indices element out of data bounds.*tokenizer\.json must be/,
  });
});

test("a vector that is not finite is refused with its text", async (t) => {
  const folder = await createTemporaryFolder(t);
  const graph: Graph = {
    ...plainEcho("sequence"),
    constants: [{ name: "table", shape: [8], values: Float32Array.of(0, 0, 0, 0, 0, 0, 0, Number.NaN) }],
    nodes: [{ op: "Gather", inputs: ["table", "input_ids"], outputs: ["text_embeds"] }],
  };
  await writeEncoder(folder, graph, letterTokenizer);
  const encoder = await openTextEncoder(folder);
  t.teardown(() => encoder.dispose());
  await assertRefused(t, () => encoder.encode(["a", "d"]), {
    reason: "NON_FINITE",
    message: 'the model gives NaN or infinity for the text "d"',
  });
});

test("names of a pooled output are taken too", async (t) => {
  const folder = await createTemporaryFolder(t);
  for (const output of ["sentence_embedding", "pooler_output"]) {
    await writeEncoder(folder, plainEcho(4, output), letterTokenizer);
    const encoder = await openTextEncoder(folder);
    t.deepEqual((await encoder.encode(["a b"])).values, Float32Array.of(1, 4, 5, 2));
    await encoder.dispose();
  }
});

const echoGraph = plainEcho("sequence");
for (const [title, graph, reason, message] of [
  [
    "without an output of text vectors",
    plainEcho("sequence", "logits"),
    "FIELD_INVALID",
    /model\.onnx has the outputs logits float32 \[batch, sequence\]; a text encoder must have text_embeds or sentence_embedding or last_hidden_state or token_embeddings or pooler_output$/,
  ],
  [
    "without input_ids",
    {
      ...echoGraph,
      inputs: [{ name: "pixels", type: "int64", shape: ["batch", 3] }],
      nodes: [{ op: "Cast", inputs: ["pixels"], outputs: ["text_embeds"], attributes: { to: { int: 1 } } }],
    },
    "FIELD_INVALID",
    /has the inputs pixels int64 \[batch, 3\]; a text encoder must have input_ids, and may have attention_mask/,
  ],
  [
    "with input_ids that are not int64",
    {
      ...echoGraph,
      inputs: [{ name: "input_ids", type: "float32", shape: ["batch", "sequence"] }],
      nodes: [{ op: "Identity", inputs: ["input_ids"], outputs: ["text_embeds"] }],
    },
    "DTYPE_UNSUPPORTED",
    /has the inputs input_ids float32 \[batch, sequence\]; a text encoder must have int64 inputs/,
  ],
  [
    "with a vector per token",
    {
      ...echoGraph,
      outputs: [{ name: "text_embeds", type: "float32", shape: ["batch", "sequence", 1] }],
      constants: [{ name: "axes", shape: [1], values: BigInt64Array.of(2n) }],
      nodes: [
        { op: "Cast", inputs: ["input_ids"], outputs: ["real"], attributes: { to: { int: 1 } } },
        { op: "Unsqueeze", inputs: ["real", "axes"], outputs: ["text_embeds"] },
      ],
    },
    "SHAPE_MISMATCH",
    /has the outputs text_embeds float32 \[batch, sequence, 1\]; a text encoder must have text_embeds as float32 or float16 \[texts, width\]$/,
  ],
] satisfies readonly (readonly [string, Graph, ErrorReason, RegExp])[]) {
  test(`a model ${title} is refused with what it has`, async (t) => {
    const folder = await createTemporaryFolder(t);
    await writeEncoder(folder, graph, letterTokenizer);
    await assertRefused(t, () => openTextEncoder(folder), { kind: "invalid-input", reason, message });
  });
}
