import test from "ava";
import type { InferenceSession } from "onnxruntime-node";
import { type ModelSignature, selectSignature } from "../../src/text/model-signature.js";
import { assertRefused } from "../helpers/assert-refused.js";

type Value = InferenceSession.ValueMetadata;

const ids = (type: "int64" | "int32", shape: (number | string)[] = ["batch", "tokens"]): Value => ({
  name: "input_ids",
  isTensor: true,
  type,
  shape,
});

const vectors = (name: string, rank = 2, type: "float32" | "float16" = "float32"): Value => ({
  name,
  isTensor: true,
  type,
  shape: ["batch", "tokens", 8].slice(3 - rank),
});

function select(outputs: readonly Value[], family: "clip" | "siglip" | "other"): ModelSignature {
  return selectSignature({ inputMetadata: [ids("int64")], outputMetadata: outputs }, { family }, "x.onnx");
}

test("text vectors go before those that need pooling, and BERT's pooler_output goes last", (t) => {
  const hidden = vectors("last_hidden_state", 3);
  const [pooler, embeds, sentence] = ["pooler_output", "text_embeds", "sentence_embedding"].map((name) =>
    vectors(name),
  );
  const all = [hidden, pooler, sentence, embeds].flatMap((each) => (each === undefined ? [] : [each]));
  for (const [outputs, inTower, elsewhere] of [
    [all, "text_embeds", "text_embeds"],
    [all.slice(0, 3), "sentence_embedding", "sentence_embedding"],
    [all.slice(0, 2), "pooler_output", "last_hidden_state"],
    [all.slice(0, 1), "last_hidden_state", "last_hidden_state"],
    [all.slice(1, 2), "pooler_output", "pooler_output"],
    [[vectors("token_embeddings", 3)], "token_embeddings", "token_embeddings"],
  ] as const) {
    t.is(select(outputs, "clip").output.name, inTower);
    t.is(select(outputs, "other").output.name, elsewhere);
  }
  t.is(select(all.slice(0, 2), "siglip").output.name, "pooler_output");
});

test("a tower of SigLIP without its head is refused", async (t) => {
  await assertRefused(t, () => select([vectors("last_hidden_state", 3)], "siglip"), {
    reason: "FIELD_INVALID",
    message:
      "x.onnx has the outputs last_hidden_state float32 [batch, tokens, 8]; a text encoder must have text_embeds or sentence_embedding or pooler_output",
  });
});

test("types and fixed extents are found", (t) => {
  const session = { inputMetadata: [ids("int32", [1, 77])], outputMetadata: [vectors("text_embeds", 2, "float16")] };
  t.deepEqual(selectSignature(session, { family: "clip" }, "x.onnx"), {
    integers: "int32",
    hasMask: false,
    hasTypes: false,
    sequenceLength: 77,
    batchSize: 1,
    output: { name: "text_embeds", type: "float16", isPerToken: false },
  });
});

test("a step of sentence-transformers that is not in the model is refused, unless the model gives its end", async (t) => {
  const inputMetadata = [ids("int64")];
  const settings = { family: "other", missingStep: "Dense" } as const;
  const whole = { inputMetadata, outputMetadata: [vectors("sentence_embedding")] };
  t.is(selectSignature(whole, settings, "x.onnx").output.name, "sentence_embedding");
  const half = { inputMetadata, outputMetadata: [vectors("last_hidden_state", 3)] };
  await assertRefused(t, () => selectSignature(half, settings, "x.onnx"), {
    reason: "FIELD_INVALID",
    message: /has no output sentence_embedding, and modules\.json beside it names the step Dense/,
  });
});

test("inputs of two types are refused", async (t) => {
  const mask: Value = { name: "attention_mask", isTensor: true, type: "int32", shape: ["batch", "tokens"] };
  const session = { inputMetadata: [ids("int64"), mask], outputMetadata: [vectors("text_embeds")] };
  await assertRefused(t, () => selectSignature(session, { family: "other" }, "x.onnx"), {
    reason: "DTYPE_UNSUPPORTED",
    message:
      /has the inputs input_ids int64 .*; attention_mask int32 .*; a text encoder must have int64 inputs \[texts/,
  });
});
