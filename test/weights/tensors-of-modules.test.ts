import test from "ava";
import type { LayerSpec, TensorInfo } from "../../src/weights/layer.js";
import { selectLayer } from "../../src/weights/select-layer.js";
import { selectTensorsOfModules } from "../../src/weights/tensors-of-modules.js";

function toTensors(names: readonly string[]): Map<string, TensorInfo> {
  return new Map(names.map((name) => [name, { name, dtype: "F32", shape: [1] }]));
}

function select(names: readonly string[], modules: readonly string[]): string[] {
  return [...selectTensorsOfModules(toTensors(names), modules).keys()];
}

test("a module's own tensors are selected in their order, those of modules with a like name are not", (t) => {
  const names = ["m.fc2.weight", "m.fc.bias", "m.f", "m.fc.weight", "m.fc", "x.m.fc.weight", "m.fc_scale", "m.fcx"];
  t.deepEqual(select(names, ["m.fc"]), ["m.fc.bias", "m.fc.weight", "m.fc", "m.fc_scale"]);
  t.deepEqual(select(names, ["absent"]), []);
  t.deepEqual(select(names, []), []);
  t.deepEqual(select(names, ["m.f", "m.fc2"]), ["m.fc2.weight", "m.f"]);
});

test("every name of a LoRA layer is selected, in whatever format", (t) => {
  const names = [
    "unet.mid_block.attentions.0.proj_in.lora.down.weight",
    "unet.mid_block.attentions.0.proj_in.lora.alpha",
    "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight",
    "lora_unet_middle_block_1_proj_in.alpha",
    "base_model.model.mid_block.attentions.0.proj_in.lora_A.default.weight",
    "mid_block.attentions.0.processor.proj_in_lora.down.weight",
    "lora_unet_mid_block_attentions_0_proj_in.lokr_w1",
    "unet.mid_block.attentions.0.proj_in.a1.weight",
    "unet.mid_block.attentions.0.proj_in.lora_magnitude_vector.weight",
  ];
  const others = ["other.lora.down.weight", "lora_te_x.alpha", "unet.mid_block.attentions.0.proj_out.alpha"];
  for (const module of ["unet.mid_block.attentions.0.proj_in", "middle_block.1.proj_in"]) {
    t.deepEqual(select([...names, ...others], [module]), module.startsWith("unet") ? names : without(names, ".a1."));
  }
});

/** GLoRA is told by four names, not by one; of its own name a module has all. */
function without(names: readonly string[], part: string): string[] {
  return names.filter((name) => !name.includes(part));
}

const spec: LayerSpec = {
  module: "m.fc",
  kind: "dense",
  layout: "linear",
  loraScale: "none",
  shape: { rows: 6, columns: 4 },
};
for (const module of ["m.fc", "m.fc.weight"]) {
  for (const scale of ["m.fc.weight_scale", "m.fc.weight_scale_inv", "m.fc.scale_weight", "m.fc.input_scale_3"]) {
    test(`with ${scale} a layer named ${module} is read from the selected tensors as from all`, (t) => {
      const tensors = new Map<string, TensorInfo>([
        ["a.weight", { name: "a.weight", dtype: "F32", shape: [1] }],
        [scale, { name: scale, dtype: "F32", shape: [6] }],
        ["m.fc.weight", { name: "m.fc.weight", dtype: "F8_E4M3", shape: [6, 4] }],
      ]);
      const look = (from: ReadonlyMap<string, TensorInfo>): unknown => {
        try {
          return selectLayer(from, { ...spec, module });
        } catch (error) {
          return String(error);
        }
      };
      const selected = selectTensorsOfModules(tensors, [module]);
      t.is(selected.size, 2);
      t.deepEqual(look(selected), look(tensors));
    });
  }
}
