import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { repositoryRoot } from "../../../bench/repository-root.js";
import { ProbestreamError } from "../../../src/errors/probestream-error.js";
import type { LayerSpec, TensorInfo } from "../../../src/weights/layer.js";
import { withLoraScales } from "../../../src/weights/lora/lora-scales.js";
import { toModuleKey, toModulePath } from "../../../src/weights/lora/module-path.js";
import { parseFactorName } from "../../../src/weights/lora-naming.js";
import { findLoraPairs } from "../../../src/weights/lora-pairs.js";
import { selectLayer } from "../../../src/weights/select-layer.js";
import { selectTensorsOfModules } from "../../../src/weights/tensors-of-modules.js";

const spec: LayerSpec = {
  module: "",
  kind: "lora",
  layout: "linear",
  loraScale: "apply",
  shape: { rows: 6, columns: 4 },
};

/** A factor and its partner. */
function toFactors(name: string): Map<string, TensorInfo> {
  const { factor, partner = "" } = parseFactorName(name) ?? {};
  const [down, up] = factor === "down" ? [name, partner] : [partner, name];
  return new Map([
    [down, { name: down, dtype: "F32", shape: [2, 4] }],
    [up, { name: up, dtype: "F32", shape: [6, 2] }],
  ]);
}

test("every name in the document's table gives the path beside it, and either finds the layer", async (t) => {
  const document = await readFile(join(repositoryRoot, "docs/formats.md"), "utf8");
  const begin = document.indexOf("| name in the file |");
  const rows = document.slice(begin, document.indexOf("\n\n", begin)).matchAll(/^\| `(.+?)` \| `(.+?)` \|$/gm);
  const table = Array.from(rows, ([, name = "", path = ""]) => [name, path] as const);
  t.true(table.length >= 20);
  for (const [name, path] of table) {
    const tensors = toFactors(name);
    t.deepEqual(
      findLoraPairs(tensors).pairs.map(({ module }) => module),
      [path],
    );
    for (const module of [path, parseFactorName(name)?.path ?? ""]) {
      t.is(selectLayer(tensors, { ...spec, module }).length, 2, `${module} in ${name}`);
      t.deepEqual(selectTensorsOfModules(tensors, [module]), tensors);
    }
  }
});

test("layers of diffusers with other names than their flat ones are told apart from all others", (t) => {
  for (const block of [0, 1, 2]) {
    const keys = new Set<string>();
    for (let i = 0; i < 9; i++) {
      keys.add(toModuleKey(`lora_unet_output_blocks_${i}_0_in_layers_2`));
      keys.add(toModuleKey(`unet.up_blocks.${block}.resnets.${i % 3}.conv1`));
    }
    t.is(keys.size, 9);
  }
});

/** Paths as diffusers' models have them, dotted. */
const pathArbitrary = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("down_blocks.0", "up_blocks.3", "mid_block"),
      fc.nat(2),
      fc.nat(11),
      fc.constantFrom("attn1.to_q", "attn2.to_v", "attn2.to_out.0", "ff.net.0.proj", "ff.net.2"),
    )
    .map(([block, i, depth, rest]) => `unet.${block}.attentions.${i}.transformer_blocks.${depth}.${rest}`),
  fc
    .tuple(fc.constantFrom("down_blocks.2", "up_blocks.0"), fc.nat(2), fc.constantFrom("conv1", "time_emb_proj"))
    .map(([block, i, rest]) => `unet.${block}.resnets.${i}.${rest}`),
  fc
    .tuple(fc.constantFrom("", "_2"), fc.nat(31), fc.constantFrom("self_attn.out_proj", "mlp.fc2", "layer_norm1"))
    .map(([part, i, rest]) => `text_encoder${part}.text_model.encoder.layers.${i}.${rest}`),
  fc
    .tuple(fc.constantFrom("transformer_blocks", "single_transformer_blocks"), fc.nat(40))
    .chain(([blocks, i]) =>
      fc
        .constantFrom(
          "attn.to_q",
          "attn.add_k_proj",
          "attn.to_add_out",
          "ff_context.net.0.proj",
          "norm1_context.linear",
        )
        .map((rest) => `transformer.${blocks}.${i}.${rest}`),
    ),
);

const prefixes = {
  unet: "lora_unet_",
  text_encoder: "lora_te1_",
  text_encoder_2: "lora_te2_",
  transformer: "lora_transformer_",
};

test("a path that is flattened, and wrapped, and parsed again is the same", (t) => {
  fc.assert(
    fc.property(pathArbitrary, (path) => {
      const dot = path.indexOf(".");
      const [part, rest] = [path.slice(0, dot) as keyof typeof prefixes, path.slice(dot + 1)];
      const flat = prefixes[part] + rest.replaceAll(".", "_");
      for (const name of [path, flat, `base_model.model.${path}`, `${part}.base_model.model.${rest}`]) {
        t.is(toModulePath(name), path);
        t.is(toModuleKey(name), toModuleKey(path));
      }
    }),
  );
});

test("paths of models that none of this is about stay as they are", (t) => {
  const segment = fc.stringMatching(/^[a-z]{1,5}\d?$/).filter((word) => !/^(unet|lora|lycoris)/.test(word));
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), (segments) => {
      t.is(toModulePath(segments.join(".")), segments.join("."));
    }),
  );
});

/** Pieces of names, from which arbitrary ones are made. */
const pieces = [
  ..."lora_unet_ lora_te1_ lycoris_ base_model.model. unet. . _ 0 12 down_blocks input_blocks_4_1 output_blocks.2.1".split(
    " ",
  ),
  ..."middle_block_1 attn1.to_out processor .lora_A .lora_B .default .weight .lora.up.weight _lora.down.weight".split(
    " ",
  ),
  ..."alpha .alpha .hada_w1_a .lokr_w1 .dora_scale .a1.weight .lora_mid.weight .diff \u202e \ud800 é".split(" "),
];
const nameArbitrary = fc.oneof(
  fc.string(),
  fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((parts) => parts.join("")),
);
const metadataArbitrary = fc.oneof(
  fc.json(),
  fc.string(),
  fc.record({ r: fc.anything(), lora_alpha: fc.anything(), rank_pattern: fc.dictionary(nameArbitrary, fc.nat(9)) }),
);

function toText(value: unknown): string {
  return typeof value === "string"
    ? value
    : (JSON.stringify(value, (_, item) => (typeof item === "bigint" ? 0 : item)) ?? "");
}

test("whatever names and configurations a file has, it is read or refused by an error of ours", (t) => {
  const shapes = fc.array(fc.nat(5), { maxLength: 5 });
  const files = fc.dictionary(nameArbitrary, shapes, { maxKeys: 12, noNullPrototype: true });
  fc.assert(
    fc.property(files, nameArbitrary, metadataArbitrary, (file, module, config) => {
      const tensors = new Map(Object.entries(file).map(([name, shape]) => [name, { name, dtype: "F32", shape }]));
      const attempts = [
        () => findLoraPairs(tensors),
        () => selectTensorsOfModules(tensors, [module]),
        () => selectLayer(tensors, { ...spec, module }),
        () => withLoraScales(tensors, new Map([["peft.adapter_config", toText(config)]])),
        () => withLoraScales(tensors, new Map([["lora_adapter_metadata", toText(config)]])),
      ];
      for (const attempt of attempts) {
        try {
          attempt();
        } catch (error) {
          t.true(error instanceof ProbestreamError, String(error));
        }
      }
      t.is(toModuleKey(toModulePath(module)).length > 0, toModulePath(module).length > 0);
    }),
    { numRuns: 300 },
  );
});
