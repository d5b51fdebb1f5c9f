import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import test from "ava";
import { readEncoderSettings } from "../../src/text/encoder-settings.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createTemporaryFolder, type Teardown } from "../helpers/temporary-folder.js";

async function writeFolder(t: Teardown, files: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await createTemporaryFolder(t);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), JSON.stringify(content));
  }
  return folder;
}

/** `modules.json` of sentence-transformers, of the modules' class names. */
function toModules(names: readonly string[]): unknown {
  return names.map((name, idx) => ({
    idx,
    path: idx === 0 ? "" : `${idx}_${name}`,
    type: `sentence_transformers.models.${name}`,
  }));
}

test("a folder that says nothing pools by the mean, or as CLIP if its tokenizer is CLIP's", async (t) => {
  const folder = await writeFolder(t, {});
  t.deepEqual(await readEncoderSettings(folder, false), { family: "other", pooling: "mean", isNormalized: false });
  t.deepEqual(await readEncoderSettings(folder, true), { family: "clip", pooling: "end", isNormalized: false });
});

test("config.json says the family and the positions", async (t) => {
  const clip = { model_type: "clip", text_config: { model_type: "clip_text_model", max_position_embeddings: 77 } };
  for (const [config, family, positions] of [
    [clip, "clip", 77],
    [{ model_type: "clip_text_model", max_position_embeddings: 77 }, "clip", 77],
    [{ model_type: "siglip", text_config: { max_position_embeddings: 64 } }, "siglip", 64],
    [{ model_type: "bert", max_position_embeddings: 512 }, "other", 512],
    [{ model_type: "clipseg" }, "other", undefined],
    [{}, "clip", undefined],
  ] as const) {
    const settings = await readEncoderSettings(await writeFolder(t, { "config.json": config }), true);
    t.is(settings.family, family);
    t.is(settings.positions, positions);
  }
});

test("the settings of sentence-transformers are followed", async (t) => {
  const folder = await writeFolder(t, {
    "modules.json": toModules(["Transformer", "Pooling", "Normalize"]),
    "1_Pooling/config.json": {
      word_embedding_dimension: 8,
      pooling_mode_cls_token: true,
      pooling_mode_mean_tokens: false,
    },
    "sentence_bert_config.json": { max_seq_length: 256, do_lower_case: false },
  });
  t.deepEqual(await readEncoderSettings(folder, false), {
    family: "other",
    pooling: "cls",
    isNormalized: true,
    sentenceTokens: 256,
  });
});

test("pooling is found where modules.json says, and steps that are unknown are told", async (t) => {
  const folder = await writeFolder(t, {
    "modules.json": toModules(["Transformer", "Dense", "Pooling"]),
    "2_Pooling/config.json": { pooling_mode: "lasttoken" },
    "1_Pooling/config.json": { pooling_mode: "max" },
  });
  t.deepEqual(await readEncoderSettings(folder, false), {
    family: "other",
    pooling: "last",
    isNormalized: false,
    missingStep: "Dense",
  });
});

test("a way of pooling that is unknown, or two at once, are refused", async (t) => {
  for (const [config, shown] of [
    [{ pooling_mode_max_tokens: true }, "max_tokens"],
    [{ pooling_mode_cls_token: true, pooling_mode_mean_tokens: true }, "cls_token and mean_tokens"],
    [{ pooling_mode: "toString" }, "toString"],
  ] as const) {
    const folder = await writeFolder(t, { "1_Pooling/config.json": config });
    await assertRefused(t, () => readEncoderSettings(folder, false), {
      kind: "invalid-input",
      reason: "FIELD_INVALID",
      message: `${join(folder, "1_Pooling/config.json")} pools by ${shown}; one of mean_tokens, cls_token and lasttoken is known. Export the model with its pooling, as the output sentence_embedding.`,
    });
  }
});

test("a way of pooling that modules.json names must be there", async (t) => {
  const folder = await writeFolder(t, { "modules.json": toModules(["Transformer", "Pooling"]) });
  await assertRefused(t, () => readEncoderSettings(folder, false), {
    kind: "not-found",
    reason: "FILE_NOT_FOUND",
    message: `There is no file "${join(folder, "1_Pooling/config.json")}", of which modules.json speaks; it says how tokens are pooled`,
  });
});
