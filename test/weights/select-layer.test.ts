import test from "ava";
import type { ErrorReason } from "../../src/errors/error-reason.js";
import { InvalidInputError, NotFoundError } from "../../src/errors/probestream-error.js";
import type { LayerSpec, TensorInfo } from "../../src/weights/layer.js";
import { selectLayer } from "../../src/weights/select-layer.js";

type Stored = Readonly<Record<string, readonly [dtype: string, ...shape: number[]]>>;

function toTensors(stored: Stored): Map<string, TensorInfo> {
  return new Map(Object.entries(stored).map(([name, [dtype, ...shape]]) => [name, { name, dtype, shape }]));
}

const dense: LayerSpec = {
  module: "m.fc",
  kind: "dense",
  layout: "linear",
  loraScale: "none",
  shape: { rows: 6, columns: 4 },
};
const lora: LayerSpec = { ...dense, kind: "lora", loraScale: "apply" };
const middle = { rows: { begin: 2, end: 5 }, shape: { rows: 3, columns: 4 } };

/** What is selected, as `role name begin-end rows x columns [column slice]`. */
function select(stored: Stored, spec: LayerSpec): string[] {
  return selectLayer(toTensors(stored), spec).map(
    ({ role, tensor, beginByte, endByte, rowCount, columnCount, columns }) =>
      `${role} ${tensor.name} ${beginByte}-${endByte} ${rowCount}x${columnCount} [${columns.begin},${columns.end}]`,
  );
}

const selections: readonly (readonly [title: string, stored: Stored, spec: LayerSpec, selected: string[]])[] = [
  ["a linear layer", { "m.fc.weight": ["F32", 6, 4] }, dense, ["weight m.fc.weight 0-96 6x4 [0,4]"]],
  ["a tensor of the module's own name", { "m.fc": ["F16", 6, 4] }, dense, ["weight m.fc 0-48 6x4 [0,4]"]],
  ["a 1x1 convolution", { "m.fc.weight": ["BF16", 6, 4, 1, 1] }, dense, ["weight m.fc.weight 0-48 6x4 [0,4]"]],
  ["a pointwise convolution", { "m.fc.weight": ["F64", 6, 4, 1] }, dense, ["weight m.fc.weight 0-192 6x4 [0,4]"]],
  [
    "rows of a packed layer",
    { "m.fc.weight": ["F32", 9, 4] },
    { ...dense, ...middle },
    ["weight m.fc.weight 32-80 3x4 [0,4]"],
  ],
  [
    "a transposed layer",
    { "m.fc.weight": ["F32", 4, 6] },
    { ...dense, layout: "transposed" },
    ["weight m.fc.weight 0-96 4x6 [0,6]"],
  ],
  [
    "columns of a packed transposed layer",
    { "m.fc.weight": ["F32", 4, 9] },
    { ...dense, ...middle, layout: "transposed" },
    ["weight m.fc.weight 0-144 4x9 [2,5]"],
  ],
  [
    "a convolution",
    { "m.fc.weight": ["F32", 4, 2, 3, 1] },
    { ...dense, layout: "conv" },
    ["weight m.fc.weight 0-96 6x4 [0,4]"],
  ],
  [
    "a convolution of one kernel element",
    { "m.fc.weight": ["F32", 6, 4, 1, 1] },
    { ...dense, layout: "conv" },
    ["weight m.fc.weight 0-96 6x4 [0,4]"],
  ],
  [
    "a vector",
    { "m.fc.weight": ["F32", 6] },
    { ...dense, layout: "vector", shape: { rows: 6, columns: 1 } },
    ["weight m.fc.weight 0-24 6x1 [0,1]"],
  ],
  ["plain 8-bit floats", { "m.fc.weight": ["F8_E4M3", 6, 4] }, dense, ["weight m.fc.weight 0-24 6x4 [0,4]"]],
  [
    "plain 8-bit floats beside another layer's scale",
    {
      "m.fc.weight": ["F8_E4M3", 6, 4],
      "m.fc2.weight_scale": ["F32"],
      "m.scale": ["F32"],
      "m.fc.rescaler.weight": ["F32"],
      "m.fc.sub.scale": ["F32"],
      "m.fc.sub.weight_scale": ["F32"],
      "m.fc_norm.scale": ["F32"],
      "m.fc.weight.scale.weight": ["F32"],
      "m.fc0.scale": ["F32"],
      "m.fc0.weight.scale_block": ["F32"],
      "m.fc.weights.scale": ["F32"],
    },
    dense,
    ["weight m.fc.weight 0-24 6x4 [0,4]"],
  ],
  [
    "8-bit floats of the module's own name beside another module's scale",
    { "m.fc": ["F8_E4M3", 6, 4], "m.fc_norm.scale": ["F32"], "m.fc2_scale": ["F32"] },
    dense,
    ["weight m.fc 0-24 6x4 [0,4]"],
  ],
  [
    "8-bit floats with their own scale and those of inputs and outputs",
    {
      "m.fc.weight": ["F8_E4M3", 6, 4],
      "m.fc.weight_scale": ["F32"],
      "m.fc.input_scale": ["F32"],
      "m.fc.output_scale": ["F32"],
    },
    dense,
    ["weight-scale m.fc.weight_scale 0-4 1x1 [0,1]", "weight m.fc.weight 0-24 6x4 [0,4]"],
  ],
  ...["m.fc.weight_scale", "m.fc.scale_weight", "m.fc.weight_scale_inv"].map(
    (name) =>
      [
        `8-bit floats with one scale, ${name}`,
        { "m.fc.weight": ["F8_E5M2", 6, 4], [name]: ["F32"] } satisfies Stored,
        dense,
        [`weight-scale ${name} 0-4 1x1 [0,1]`, "weight m.fc.weight 0-24 6x4 [0,4]"],
      ] as const satisfies readonly [string, Stored, LayerSpec, string[]],
  ),
  [
    "8-bit floats with a scale for each row, sliced",
    { "m.fc.weight": ["F8_E4M3", 9, 4], "m.fc.weight_scale": ["BF16", 9, 1] },
    { ...dense, ...middle },
    ["weight-scale m.fc.weight_scale 4-10 3x1 [0,1]", "weight m.fc.weight 8-20 3x4 [0,4]"],
  ],
  [
    "8-bit floats of a transposed layer with one scale",
    { "m.fc.weight": ["F8_E4M3", 4, 6], "m.fc.weight_scale": ["F32", 1] },
    { ...dense, layout: "transposed" },
    ["weight-scale m.fc.weight_scale 0-4 1x1 [0,1]", "weight m.fc.weight 0-24 4x6 [0,6]"],
  ],
  [
    "a LoRA layer with its alpha",
    { "m.fc.lora.up.weight": ["F32", 6, 2], "m.fc.alpha": ["F32"], "m.fc.lora.down.weight": ["F16", 2, 4] },
    lora,
    [
      "lora-alpha m.fc.alpha 0-4 1x1 [0,1]",
      "lora-down m.fc.lora.down.weight 0-16 2x4 [0,4]",
      "lora-up m.fc.lora.up.weight 0-48 6x2 [0,2]",
    ],
  ],
  [
    "a LoRA layer whose scale is not applied",
    { "m.fc.lora_B.weight": ["F32", 6, 2], "m.fc.alpha": ["I64"], "m.fc.lora_A.weight": ["F32", 2, 4] },
    { ...lora, loraScale: "none" },
    ["lora-down m.fc.lora_A.weight 0-32 2x4 [0,4]", "lora-up m.fc.lora_B.weight 0-48 6x2 [0,2]"],
  ],
  [
    "rows of a packed LoRA layer of 1x1 convolutions",
    { "m.processor.fc_lora.down.weight": ["F32", 2, 4, 1, 1], "m.processor.fc_lora.up.weight": ["F32", 9, 2, 1, 1] },
    { ...lora, ...middle },
    [
      "lora-down m.processor.fc_lora.down.weight 0-32 2x4 [0,4]",
      "lora-up m.processor.fc_lora.up.weight 16-40 3x2 [0,2]",
    ],
  ],
];

for (const [title, stored, spec, selected] of selections) {
  test(`${title} is selected`, (t) => t.deepEqual(select(stored, spec), selected));
}

const refusals: readonly (readonly [
  title: string,
  stored: Stored,
  spec: LayerSpec,
  reason: ErrorReason,
  message: RegExp,
])[] = [
  ["other rows", { "m.fc.weight": ["F32", 7, 4] }, dense, "SHAPE_MISMATCH", /shape \[7,4\].*7 rows.*reads 6/],
  ["other columns", { "m.fc.weight": ["F32", 6, 5] }, dense, "SHAPE_MISMATCH", /5 columns.*reads 4/],
  [
    "too few rows for a slice",
    { "m.fc.weight": ["F32", 4, 4] },
    { ...dense, ...middle },
    "SHAPE_MISMATCH",
    /at least 5/,
  ],
  ["a kernel read as linear", { "m.fc.weight": ["F32", 6, 4, 3, 3] }, dense, "SHAPE_MISMATCH", /layout "linear" reads/],
  ["a scalar", { "m.fc.weight": ["F32"] }, dense, "SHAPE_MISMATCH", /shape \[\]/],
  [
    "a matrix read as a kernel",
    { "m.fc.weight": ["F32", 6, 4] },
    { ...dense, layout: "conv" },
    "SHAPE_MISMATCH",
    /kh, kw/,
  ],
  ["a shape beyond 2^53", { "m.fc.weight": ["F32", 2 ** 52, 4] }, { ...dense, ...middle }, "SHAPE_MISMATCH", /shape/],
  [
    "bytes beyond 2^53",
    { "m.fc.weight": ["F64", 2 ** 50, 4] },
    { ...dense, ...middle },
    "SHAPE_MISMATCH",
    /2\^53 bytes/,
  ],
  ["an extent that is no number", { "m.fc.weight": ["F32", Number.NaN, 4] }, dense, "SHAPE_MISMATCH", /NaN/],
  ["integers", { "m.fc.weight": ["I8", 6, 4] }, dense, "DTYPE_UNSUPPORTED", /"I8"; accepted are F64, F32, F16/],
  [
    "8-bit floats scaled in blocks",
    { "m.fc.weight": ["F8_E4M3", 6, 4], "m.fc.weight_scale_inv": ["F32", 3, 2] },
    dense,
    "SHAPE_MISMATCH",
    /shape \[3,2\]/,
  ],
  [
    "8-bit floats with as many scales as a slice has rows",
    { "m.fc.weight": ["F8_E4M3", 9, 4], "m.fc.weight_scale": ["F32", 3] },
    { ...dense, ...middle },
    "SHAPE_MISMATCH",
    /\[9\] or \[9, 1\]/,
  ],
  [
    "transposed 8-bit floats with a scale for each row",
    { "m.fc.weight": ["F8_E4M3", 4, 6], "m.fc.weight_scale": ["F32", 4] },
    { ...dense, layout: "transposed" },
    "SHAPE_MISMATCH",
    /one number/,
  ],
  [
    "a kernel of 8-bit floats with a scale for each output",
    { "m.fc.weight": ["F8_E4M3", 6, 2, 3, 1], "m.fc.weight_scale": ["F32", 6] },
    { ...dense, layout: "conv", shape: { rows: 6, columns: 6 } },
    "SHAPE_MISMATCH",
    /one number/,
  ],
  [
    "8-bit floats with a scale of 8 bits",
    { "m.fc.weight": ["F8_E4M3", 6, 4], "m.fc.weight_scale": ["F8_E8M0", 6] },
    dense,
    "DTYPE_UNSUPPORTED",
    /F32, F16, BF16/,
  ],
  ...[
    "m.fc.qscale",
    "m.fc.SCALES",
    "m.fc_scale",
    "m.fc.weight.scale_block",
    "m.fc.weight.scale",
    "m.fc.weight.block.scale",
    "m.fc.weight_block_scales",
    "m.fc.weight_quantizer._scale",
  ].map(
    (name) =>
      [
        `8-bit floats with a scale of unknown meaning, ${name},`,
        { "m.fc.weight": ["F8_E4M3", 6, 4], [name]: ["F32"] } satisfies Stored,
        dense,
        "DTYPE_UNSUPPORTED",
        new RegExp(`companion "${name}"`),
      ] as const satisfies readonly [string, Stored, LayerSpec, ErrorReason, RegExp],
  ),
  [
    "8-bit floats of the module's own name with a scale of unknown meaning",
    { "m.fc": ["F8_E4M3", 6, 4], "m.fc.scale_block": ["F32"] },
    dense,
    "DTYPE_UNSUPPORTED",
    /companion "m\.fc\.scale_block"/,
  ],
  [
    "8-bit floats with a second scale of unknown meaning",
    { "m.fc.weight": ["F8_E4M3", 6, 4], "m.fc.weight_scale": ["F32"], "m.fc.weight_scale_2": ["F32"] },
    dense,
    "DTYPE_UNSUPPORTED",
    /companion "m\.fc\.weight_scale_2"/,
  ],
  [
    "8-bit floats with two scales",
    { "m.fc.weight": ["F8_E4M3", 6, 4], "m.fc.weight_scale": ["F32"], "m.fc.scale_weight": ["F32"] },
    dense,
    "DUPLICATE",
    /several scales/,
  ],
  [
    "LoRA factors of different ranks",
    { "m.fc.lora.down.weight": ["F32", 2, 4], "m.fc.lora.up.weight": ["F32", 6, 3] },
    lora,
    "SHAPE_MISMATCH",
    /rank must be the same/,
  ],
  [
    "a rank beyond any",
    { "m.fc.lora.down.weight": ["F32", 5000, 4], "m.fc.lora.up.weight": ["F32", 6, 5000] },
    lora,
    "SHAPE_MISMATCH",
    /from 1 to 4096/,
  ],
  [
    "a rank of zero",
    { "m.fc.lora.down.weight": ["F32", 0, 4], "m.fc.lora.up.weight": ["F32", 6, 0] },
    lora,
    "SHAPE_MISMATCH",
    /from 1 to 4096/,
  ],
  [
    "an alpha of two numbers",
    { "m.fc.lora.down.weight": ["F32", 2, 4], "m.fc.lora.up.weight": ["F32", 6, 2], "m.fc.alpha": ["F32", 2] },
    lora,
    "SHAPE_MISMATCH",
    /alpha is one number/,
  ],
  [
    "one layer under two conventions",
    {
      "m.fc.lora.down.weight": ["F32", 2, 4],
      "m.fc.lora.up.weight": ["F32", 6, 2],
      "m.fc.lora_A.weight": ["F32", 2, 4],
      "m.fc.lora_B.weight": ["F32", 6, 2],
    },
    lora,
    "DUPLICATE",
    /two LoRA layers/,
  ],
  [
    "one layer under two names that differ in dots alone",
    {
      "lora_unet_m_fc.lora_down.weight": ["F32", 2, 4],
      "lora_unet_m_fc.lora_up.weight": ["F32", 6, 2],
      "unet.m.fc.lora_A.weight": ["F32", 2, 4],
      "unet.m.fc.lora_B.weight": ["F32", 6, 2],
    },
    lora,
    "DUPLICATE",
    /"lora_unet_m_fc\.lora_down\.weight" and "unet\.m\.fc\.lora_A\.weight"/,
  ],
  [
    "a layer of an adapter of another kind",
    {
      "m.fc.lora_A.weight": ["F32", 2, 4],
      "m.fc.lora_B.weight": ["F32", 6, 2],
      "m.fc.lora_magnitude_vector": ["F32", 6],
    },
    { ...lora, loraScale: "none" },
    "FORMAT_REFUSED",
    /"m\.fc" is changed by an adapter of the kind DoRA \("m\.fc\.lora_magnitude_vector"\).*merge it/,
  ],
  [
    "8-bit LoRA factors with a scale",
    {
      "m.fc.lora.down.weight": ["F8_E4M3", 2, 4],
      "m.fc.lora.up.weight": ["F8_E4M3", 6, 2],
      "m.fc.lora.down.weight_scale": ["F32"],
    },
    lora,
    "DTYPE_UNSUPPORTED",
    /has a scale/,
  ],
  ["a transposed LoRA layer", {}, { ...lora, layout: "transposed" }, "FIELD_INVALID", /must be "linear"/],
  ["a slice that contradicts the shape", {}, { ...dense, rows: { begin: 0, end: 5 } }, "FIELD_INVALID", /rows 0 to 5/],
];

for (const [title, stored, spec, reason, message] of refusals) {
  test(`${title} is refused`, (t) => {
    const error = t.throws(() => select(stored, spec), { instanceOf: InvalidInputError, message });
    t.is(error?.reason, reason);
  });
}

test("a layer that is not there is answered with the nearest names", (t) => {
  const names = Array.from({ length: 30 }, (_, i) => `base.model.blocks.${i}.fc.weight`);
  const stored = Object.fromEntries(names.map((name) => [name, ["F32", 6, 4]] as const));
  const error = t.throws(() => select(stored, { ...dense, module: "model.blocks.7.fc" }), {
    instanceOf: NotFoundError,
  });
  t.is(error?.reason, "LAYER_NOT_FOUND");
  t.regex(error?.message ?? "", /the nearest are "base\.model\.blocks\.7\./);
  t.is(error?.message.match(/base\.model/g)?.length, 3);
});

test("a LoRA layer that is not there is answered with the nearest modules", (t) => {
  const stored: Stored = {
    "x.m.fc.lora.down.weight": ["F32", 2, 4],
    "x.m.fc.lora.up.weight": ["F32", 6, 2],
    "m.fc.lora.down.weight": ["F32", 2, 4],
  };
  const error = t.throws(() => select(stored, lora), { instanceOf: NotFoundError });
  t.regex(error?.message ?? "", /the nearest are "x\.m\.fc"/);
  t.throws(() => select({ a: ["F32", 1] }, lora), { message: /nor any LoRA layer/ });
});

test("a missing layer of a model with very many long names is refused quickly", (t) => {
  const stored = Object.fromEntries(
    Array.from({ length: 100_000 }, (_, i) => [`${"layer.".repeat(20)}${i}`, ["F32", 1]] as const),
  );
  const tensors = toTensors(stored);
  const begin = performance.now();
  t.throws(() => selectLayer(tensors, { ...dense, module: `${"layer.".repeat(20)}x` }), { instanceOf: NotFoundError });
  t.true(performance.now() - begin < 2000);
});
