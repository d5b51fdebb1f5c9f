import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import type { ErrorReason } from "../../../src/errors/error-reason.js";
import { InvalidInputError, ProbestreamError } from "../../../src/errors/probestream-error.js";
import type { TensorInfo } from "../../../src/weights/layer.js";
import { withLoraScales } from "../../../src/weights/lora/lora-scales.js";
import { findLoraPairs } from "../../../src/weights/lora-pairs.js";
import { openModel } from "../../../src/weights/model-file.js";
import { encodeSafetensors } from "../../../src/weights/safetensors-writer.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { startRangeServer } from "../range-server.js";

/** Factors of these modules, by the names of PEFT or diffusers, with a rank for each. */
function toTensors(
  ranks: Readonly<Record<string, number>>,
  kind: "peft" | "diffusers" = "peft",
): Map<string, TensorInfo> {
  const [down, up] = kind === "peft" ? ["lora_A", "lora_B"] : ["lora.down", "lora.up"];
  const tensors = Object.entries(ranks).flatMap(([module, rank]): TensorInfo[] => [
    { name: `${module}.${down}.weight`, dtype: "F32", shape: [rank, 4] },
    { name: `${module}.${up}.weight`, dtype: "F32", shape: [6, rank] },
  ]);
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

function scalesOf(tensors: Map<string, TensorInfo>, key: string, config: object): (number | undefined)[] {
  const scaled = withLoraScales(tensors, new Map([[key, JSON.stringify(config)]]));
  return findLoraPairs(scaled).pairs.map(({ scale }) => scale);
}

const wrapped = "base_model.model.";
const layers = { [`${wrapped}model.layers.0.q_proj`]: 4, [`${wrapped}model.layers.1.q_proj`]: 9 };
const ranks = { rank_pattern: { "layers.1.q_proj": 9 } };
const configurations: readonly (readonly [title: string, config: object, scales: readonly (number | undefined)[]])[] = [
  ["alpha / r", { r: 4, lora_alpha: 8, ...ranks }, [2, 8 / 9]],
  ["alpha / √r if it is rank-stabilised", { r: 4, lora_alpha: 6, use_rslora: true, ...ranks }, [3, 2]],
  [
    "alphas by pattern",
    { r: 4, lora_alpha: 8, alpha_pattern: { "^model.layers.0.q_proj": 1, "layers\\.\\d": 7, q_proj: 18 }, ...ranks },
    [0.25, 2],
  ],
  [
    "ranks and alphas by pattern, rank-stabilised",
    {
      r: 64,
      lora_alpha: 1,
      use_rslora: true,
      rank_pattern: { "layers.1.q_proj": 9, "(q|k)_proj": 4 },
      alpha_pattern: { q_proj: 36 },
    },
    [18, 12],
  ],
  ["PEFT's own default where it says no alpha", { r: 4, ...ranks }, [2, 8 / 9]],
  ["nothing of an adapter of another kind", { peft_type: "LOHA", r: 1 }, [undefined, undefined]],
  ["nothing of an object without a rank or alpha", { target_modules: ["q_proj"] }, [undefined, undefined]],
];
for (const [title, config, scales] of configurations) {
  test(`adapter_config.json gives ${title}`, (t) => {
    t.deepEqual(scalesOf(toTensors(layers), "peft.adapter_config", config), scales);
  });
}

test("PEFT's configuration scales no layer that is named otherwise, and an alpha comes before it", (t) => {
  const tensors = toTensors({ "m.fc": 2 }, "diffusers");
  for (const [name, tensor] of toTensors({ "m.q": 2, "m.k": 2 })) tensors.set(name, tensor);
  tensors.set("m.k.alpha", { name: "m.k.alpha", dtype: "F32", shape: [] });
  t.deepEqual(scalesOf(tensors, "peft.adapter_config", { r: 2, lora_alpha: 8 }), [undefined, 4, undefined]);
});

test("the metadata of diffusers scale each part of the pipeline by itself, and a model alone by its own", (t) => {
  const tensors = toTensors({ "unet.a.to_q": 2, "text_encoder.b.q_proj": 4, "transformer.c": 2 }, "diffusers");
  const config = { "unet.r": 2, "unet.lora_alpha": 6, "text_encoder.r": 4, "text_encoder.lora_alpha": 2 };
  t.deepEqual(scalesOf(tensors, "lora_adapter_metadata", config), [3, 0.5, undefined]);
  const pattern = { "unet.r": 2, "unet.lora_alpha": 6, "unet.alpha_pattern": { "^a.to_q": 1 } };
  t.deepEqual(scalesOf(tensors, "lora_adapter_metadata", pattern), [0.5, undefined, undefined]);
  const alone = { r: 2, lora_alpha: 6, rank_pattern: { q_proj: 4 } };
  t.deepEqual(scalesOf(tensors, "lora_adapter_metadata", alone), [3, 1.5, 3]);
});

const refusals: readonly (readonly [title: string, config: object | string, reason: ErrorReason, message: RegExp])[] = [
  [
    "of another rank",
    { r: 2, lora_alpha: 1 },
    "SHAPE_MISMATCH",
    /rank 2, but its factors have 4: it belongs to another/,
  ],
  ["that is no JSON", "{", "HEADER_MALFORMED", /breaks off|needs/],
  ["that is no object", "[]", "HEADER_MALFORMED", /no JSON object/],
  ["with an alpha in words", { r: 4, lora_alpha: "8" }, "HEADER_MALFORMED", /"lora_alpha"/],
  ["with a pattern of numbers", { r: 4, rank_pattern: [1] }, "HEADER_MALFORMED", /"rank_pattern"/],
  ["with a pattern of words", { r: 4, alpha_pattern: { q: "x" } }, "HEADER_MALFORMED", /"alpha_pattern\.q"/],
  ["with a pattern that looks around", { r: 4, alpha_pattern: { "(?!k)q": 1 } }, "FORMAT_REFUSED", /\(\?!k\)q/],
  ["of more than a mebibyte", " ".repeat(2 ** 20 + 1), "LIMIT_EXCEEDED", /1048576/],
];
for (const [title, config, reason, message] of refusals) {
  test(`a configuration ${title} is refused`, (t) => {
    const text = typeof config === "string" ? config : JSON.stringify(config);
    const read = () => withLoraScales(toTensors(layers), new Map([["peft.adapter_config", text]]));
    const error = t.throws(read, { instanceOf: Error, message });
    t.true(error instanceof ProbestreamError && error.reason === reason);
  });
}

const toBytes = (tensors: Iterable<TensorInfo>, metadata?: Readonly<Record<string, string>>): Uint8Array =>
  encodeSafetensors(
    Array.from(tensors, (tensor) => ({
      ...tensor,
      bytes: new Uint8Array(4 * tensor.shape.reduce((a, b) => a * b, 1)),
    })),
    metadata,
  );

test("adapter_config.json is read beside adapter_model.safetensors and no other file", async (t) => {
  const folder = await createTemporaryFolder(t);
  const bytes = toBytes(toTensors({ "base_model.model.m.q": 2 }).values(), { "peft.adapter_config": "{}" });
  for (const name of ["adapter_model.safetensors", "own.safetensors"]) await writeFile(join(folder, name), bytes);
  const look = async (name: string) => {
    const model = await openModel(join(folder, name));
    await model.close();
    const [pair] = findLoraPairs(model.tensors).pairs;
    return { scale: pair?.scale, text: model.metadata.get("peft.adapter_config"), identity: model.identity };
  };
  const before = await look("adapter_model.safetensors");
  t.is(before.scale, undefined);
  const text = JSON.stringify({ r: 2, lora_alpha: 3 });
  await writeFile(join(folder, "adapter_config.json"), text);
  const after = await look("adapter_model.safetensors");
  t.like(after, { scale: 1.5, text });
  t.not(after.identity, before.identity);
  t.like(await look("own.safetensors"), { scale: undefined, text: "{}" });
  await writeFile(join(folder, "adapter_config.json"), "{");
  await t.throwsAsync(look("adapter_model.safetensors"), { instanceOf: InvalidInputError });
});

test("a remote adapter's configuration is asked for beside it, and may be absent", async (t) => {
  const bytes = toBytes(toTensors({ "base_model.model.m.q": 2 }).values());
  const config = new TextEncoder().encode(JSON.stringify({ r: 2, lora_alpha: 3 }));
  const files = { "/a/adapter_model.safetensors": bytes, "/a/adapter_config.json": config };
  const server = await startRangeServer({ ...files, "/b/adapter_model.safetensors": bytes });
  t.teardown(() => server.close());
  const look = async (folder: string) => {
    const model = await openModel(`${server.origin}/${folder}/adapter_model.safetensors?key=x`);
    await model.close();
    return findLoraPairs(model.tensors).pairs[0]?.scale;
  };
  t.is(await look("a"), 1.5);
  t.is(await look("b"), undefined);
  t.true(server.requests.every(({ url = "" }) => url.endsWith("?key=x")));
});
