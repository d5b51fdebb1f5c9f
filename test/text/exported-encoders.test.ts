import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { Graph } from "../../src/onnx/graph.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import type { TextEncoder } from "../../src/text/text-encoder.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { letterTokenizer, plainEcho, writeEncoder } from "../helpers/echo-encoder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

/** Writes an encoder of letters and files beside it, and opens it. */
async function openEncoder(
  t: ExecutionContext,
  graph: Graph,
  files: Readonly<Record<string, unknown>> = {},
  tokenizer: Readonly<Record<string, unknown>> = {},
): Promise<TextEncoder> {
  const folder = await createTemporaryFolder(t);
  await writeEncoder(folder, graph, { ...letterTokenizer, ...tokenizer });
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), JSON.stringify(content));
  }
  const encoder = await openTextEncoder(folder);
  t.teardown(() => encoder.dispose());
  return encoder;
}

/** `last_hidden_state`: each token's vector is its id and 1. */
const perToken: Graph = {
  name: "tokens",
  inputs: ["input_ids", "attention_mask", "token_type_ids"].map((name) => ({
    name,
    type: "int64",
    shape: ["batch", "sequence"],
  })),
  outputs: [{ name: "last_hidden_state", type: "float32", shape: ["batch", "sequence", 2] }],
  constants: [
    { name: "axis", shape: [1], values: BigInt64Array.of(2n) },
    { name: "one", shape: [1], values: BigInt64Array.of(1n) },
  ],
  nodes: [
    { op: "Max", inputs: ["attention_mask", "one"], outputs: ["ones"] },
    { op: "Add", inputs: ["input_ids", "token_type_ids"], outputs: ["ids"] },
    { op: "Unsqueeze", inputs: ["ids", "axis"], outputs: ["first"] },
    { op: "Unsqueeze", inputs: ["ones", "axis"], outputs: ["second"] },
    { op: "Concat", inputs: ["first", "second"], outputs: ["both"], attributes: { axis: { int: 2 } } },
    { op: "Cast", inputs: ["both"], outputs: ["last_hidden_state"], attributes: { to: { int: 1 } } },
  ],
};

test("a sentence encoder that gives only last_hidden_state is pooled over the mask", async (t) => {
  const encoder = await openEncoder(t, perToken);
  const { rows, columns, values } = await encoder.encode(["a", "a b c d", "zebra"]);
  t.deepEqual([rows, columns], [3, 2]);
  t.deepEqual([...values], [7 / 3, 1, 25 / 6, 1, 2, 1].map(Math.fround));
});

test("1_Pooling/config.json and Normalize are followed", async (t) => {
  const encoder = await openEncoder(t, perToken, {
    "modules.json": ["Transformer", "Pooling", "Normalize"].map((name) => ({
      path: "1_Pooling",
      type: `sentence_transformers.models.${name}`,
    })),
    "1_Pooling/config.json": { pooling_mode_lasttoken: true },
  });
  const { values } = await encoder.encode(["a b c"]);
  t.deepEqual([...values], [2 / Math.sqrt(5), 1 / Math.sqrt(5)].map(Math.fround));
});

test("limits come from sentence-transformers, the tokenizer, then the positions, in this order", async (t) => {
  const config = { "config.json": { model_type: "bert", max_position_embeddings: 6 } };
  const truncation = { truncation: { max_length: 5 } };
  const sentence = { "sentence_bert_config.json": { max_seq_length: 4 } };
  t.is((await openEncoder(t, perToken)).maxTokens, undefined);
  t.is((await openEncoder(t, perToken, config)).maxTokens, 6);
  t.is((await openEncoder(t, perToken, config, truncation)).maxTokens, 5);
  const encoder = await openEncoder(t, perToken, { ...config, ...sentence }, truncation);
  t.is(encoder.maxTokens, 4);
  const { truncated, unknown } = await encoder.encode(["a b", "zebra zebra", "a b c"]);
  t.deepEqual(truncated, [{ index: 2, tokenCount: 5, maxTokens: 4 }]);
  t.deepEqual(unknown, [1]);
});

test("what a mask hides is not filled up to a fixed length", async (t) => {
  const echo: Graph = {
    ...plainEcho("sequence"),
    inputs: ["input_ids", "attention_mask"].map((name) => ({ name, type: "int64", shape: ["batch", "sequence"] })),
  };
  const encoder = await openEncoder(t, echo, {}, { padding: { strategy: { Fixed: 128 }, pad_id: 0 } });
  t.deepEqual((await encoder.encode(["a", "b c"])).values, Float32Array.of(1, 4, 2, 0, 1, 5, 6, 2));
});

test("int32 inputs and float16 outputs are taken", async (t) => {
  const graph: Graph = {
    name: "narrow",
    inputs: [{ name: "input_ids", type: "int32", shape: ["batch", 4] }],
    outputs: [{ name: "text_embeds", type: "float16", shape: ["batch", 4] }],
    constants: [{ name: "eighth", shape: [1], values: Float32Array.of(0.125) }],
    nodes: [
      { op: "Cast", inputs: ["input_ids"], outputs: ["real"], attributes: { to: { int: 1 } } },
      { op: "Mul", inputs: ["real", "eighth"], outputs: ["small"] },
      { op: "Cast", inputs: ["small"], outputs: ["text_embeds"], attributes: { to: { int: 10 } } },
    ],
  };
  const encoder = await openEncoder(t, graph);
  t.deepEqual((await encoder.encode(["a d"])).values, Float32Array.of(0.125, 0.5, 0.875, 0.25));
});

test("a model that fixes how many texts it takes gets so many", async (t) => {
  const graph: Graph = {
    ...plainEcho(3),
    inputs: [{ name: "input_ids", type: "int64", shape: [2, 3] }],
    outputs: [{ name: "text_embeds", type: "float32", shape: [2, 3] }],
  };
  const encoder = await openEncoder(t, graph);
  const { values } = await encoder.encode(["a", "b", "c"]);
  t.deepEqual([...values], [1, 4, 2, 1, 5, 2, 1, 6, 2]);
});

test("the model lies where Hugging Face places it, a text tower before one with pictures", async (t) => {
  const folder = await createTemporaryFolder(t);
  const identities: string[] = [];
  const open = async (): Promise<number> => {
    const encoder = await openTextEncoder(folder);
    await encoder.dispose();
    identities.push(encoder.identity);
    return encoder.width;
  };
  await writeEncoder(folder, plainEcho(3), letterTokenizer);
  await mkdir(join(folder, "onnx"));
  await rename(join(folder, "model.onnx"), join(folder, "onnx/model.onnx"));
  t.is(await open(), 3);
  for (const [name, length] of [
    ["onnx/text_model.onnx", 4],
    ["model.onnx", 5],
    ["text_model.onnx", 6],
  ] as const) {
    await writeEncoder(join(folder, "other"), plainEcho(length), letterTokenizer);
    await copyFile(join(folder, "other/model.onnx"), join(folder, name));
    t.is(await open(), length);
    const hash = createHash("sha256").update(await readFile(join(folder, name)));
    t.is(identities.at(-1), hash.digest("hex"));
  }
  t.is(new Set(identities).size, 4);
});

test("weights that lie beside the model are part of its identity", async (t) => {
  const folder = await createTemporaryFolder(t);
  await writeEncoder(folder, plainEcho(3), letterTokenizer);
  await writeFile(join(folder, "model.onnx_data"), "weights");
  const encoder = await openTextEncoder(folder);
  await encoder.dispose();
  const hash = createHash("sha256").update(await readFile(join(folder, "model.onnx")));
  t.is(encoder.identity, hash.update("weights").digest("hex"));
});

test("texts of nothing but white space are refused with their place", async (t) => {
  const encoder = await openEncoder(t, plainEcho(3));
  for (const text of ["", " \t\n", "\u00a0\u3000", "\ufeff\u200b"]) {
    await assertRefused(t, () => encoder.encode(["a", text]), {
      kind: "invalid-input",
      reason: "FIELD_INVALID",
      message: `text 1 is empty: ${JSON.stringify(text)}; a text must hold more than white space`,
    });
  }
  t.is((await encoder.encode(["🦊"])).rows, 1);
});
