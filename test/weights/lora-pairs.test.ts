import test from "ava";
import type { TensorInfo } from "../../src/weights/layer.js";
import { findLoraPairs } from "../../src/weights/lora-pairs.js";

function toTensors(shapes: Readonly<Record<string, readonly number[]>>): Map<string, TensorInfo> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, { name, dtype: "F32", shape }]));
}

const conventions: readonly (readonly [down: string, up: string, module: string, alpha: string])[] = [
  ["a.to_q.lora.down.weight", "a.to_q.lora.up.weight", "a.to_q", "a.to_q.lora.alpha"],
  ["a.to_q.lora_down.weight", "a.to_q.lora_up.weight", "a.to_q", "a.to_q.alpha"],
  ["a.to_q.lora_A.weight", "a.to_q.lora_B.weight", "a.to_q", "a.to_q.alpha"],
  ["a.to_q.lora_A.default.weight", "a.to_q.lora_B.default.weight", "a.to_q", "a.to_q.alpha"],
  ["a.to_q.lora_linear_layer.down.weight", "a.to_q.lora_linear_layer.up.weight", "a.to_q", "a.to_q.alpha"],
  ["a.processor.to_q_lora.down.weight", "a.processor.to_q_lora.up.weight", "a.to_q", "a.processor.to_q_lora.alpha"],
];

for (const [down, up, module, alpha] of conventions) {
  test(`${down} and its partner are a pair`, (t) => {
    const { pairs, unpaired } = findLoraPairs(toTensors({ [up]: [8, 2], [down]: [2, 5], [alpha]: [], other: [3] }));
    t.is(unpaired.length, 0);
    t.is(pairs.length, 1);
    const { down: a, up: b, alpha: s, ...rest } = pairs[0] ?? t.fail();
    t.deepEqual([a.name, b.name, s?.name], [down, up, alpha]);
    t.deepEqual(rest, { module, rank: 2, inWidth: 5, outWidth: 8 });
  });
}

test("factors without a partner, or of another rank, are listed apart", (t) => {
  const { pairs, unpaired } = findLoraPairs(
    toTensors({
      "a.lora.down.weight": [2, 5],
      "b.lora.up.weight": [8, 2],
      "c.lora.down.weight": [2, 5],
      "c.lora.up.weight": [8, 3],
      "d.lora.down.weight": [2, 5, 3, 3],
      "d.lora.up.weight": [8, 2, 1, 1],
      ".lora.down.weight": [2, 2],
      "lora.down.weight": [2, 2],
    }),
  );
  t.deepEqual(
    pairs.map(({ module, inWidth }) => [module, inWidth]),
    [["d", 45]],
  );
  t.deepEqual(
    unpaired.map(({ name }) => name),
    ["a.lora.down.weight", "b.lora.up.weight", "c.lora.down.weight", "c.lora.up.weight"],
  );
});

test("adapters of other kinds are listed by module and kind, each once", (t) => {
  const names = {
    "a.hada_w1_a": "LoHa",
    "b.lokr_w2_a": "LoKr",
    "c.dora_scale": "DoRA",
    "c2.lora_magnitude_vector.default.weight": "DoRA",
    "d.lora_mid.weight": "LoCon with a mid tensor",
    "e.ia3_l": "IA3",
    "f.oft_blocks": "OFT",
    "g.boft_R": "BOFT",
    "h.lora_E": "AdaLoRA",
    "i.vera_lambda_b": "VeRA",
    "j.fourierft_spectrum.default": "FourierFT",
    "k.diff": "full difference",
    "l.lora_embedding_A": "LoRA of an embedding",
    "lora_unet_middle_block_1_proj_in.lokr_w1": "LoKr",
  };
  const glora = ["m.a1.weight", "m.a2.weight", "m.b1.weight", "m.b2.weight"];
  const plain = ["n.a1.weight", "hada_w1_a", ".lokr_w1", "o.diff_b", "p.weight", "q.lora_down.weight"];
  const repeated = ["a.hada_w1_b", "lora_unet_mid_block_attentions_0_proj_in.lokr_w2"];
  const all = [...Object.keys(names), ...glora, ...plain, ...repeated];
  const { foreign } = findLoraPairs(toTensors(Object.fromEntries(all.map((name) => [name, [2, 2]]))));
  t.deepEqual(Object.fromEntries(foreign.map(({ tensor, kind }) => [tensor, kind])), {
    ...names,
    "m.a1.weight": "GLoRA",
  });
  t.is(foreign.at(-2)?.module, "unet.mid_block.attentions.0.proj_in");
});
