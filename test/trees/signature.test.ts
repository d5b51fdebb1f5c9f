import test from "ava";
import { toSignature } from "../../src/trees/signature.js";
import type { TensorInfo } from "../../src/weights/layer.js";

function toTensors(shapes: Readonly<Record<string, readonly number[]>>, dtype = "F32"): Map<string, TensorInfo> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, { name, dtype, shape }]));
}

test("types and order do not change a signature; names and shapes do", (t) => {
  const one = toSignature(toTensors({ "a.weight": [4, 5], b: [3] }));
  t.is(one.kind, "dense");
  t.deepEqual(toSignature(toTensors({ b: [3], "a.weight": [4, 5] }, "BF16")), one);
  t.not(toSignature(toTensors({ "a.weight": [5, 4], b: [3] })).key, one.key);
  t.not(toSignature(toTensors({ "c.weight": [4, 5], b: [3] })).key, one.key);
  t.not(toSignature(toTensors({ "a.weight": [4, 5] })).key, one.key);
});

test("a LoRA's signature is its modules and widths, whatever its rank, its alphas and how it is named", (t) => {
  const one = toSignature(toTensors({ "m.lora.down.weight": [2, 8], "m.lora.up.weight": [6, 2] }));
  t.is(one.kind, "lora");
  const other = { "m.lora_A.weight": [16, 8], "m.lora_B.weight": [6, 16], "m.alpha": [] };
  t.deepEqual(toSignature(toTensors(other)), one);
  t.not(toSignature(toTensors({ "m.lora.down.weight": [2, 6], "m.lora.up.weight": [8, 2] })).key, one.key);
  t.not(toSignature(toTensors({ "n.lora.down.weight": [2, 8], "n.lora.up.weight": [6, 2] })).key, one.key);
});
