import type { MessageInitShape } from "@bufbuild/protobuf";
import { Dtype, type TensorInfoSchema } from "../../../src/gen/probestream/v1/types_pb.js";
import { float32Bytes } from "../../../src/weights/safetensors-writer.js";
import { randomValues } from "../../helpers/random.js";
import type { ManifestInit } from "../../helpers/rpc-client.js";

/** Rows and columns of the layer that most experts of the test's server read. */
export const shape = [6, 5] as const;

type TensorInit = MessageInitShape<typeof TensorInfoSchema>;

/** A tensor of a manifest; float32 unless said otherwise. */
export function tensor(name: string, extents: readonly (number | bigint)[], dtype: Dtype = Dtype.F32): TensorInit {
  return { name, dtype, shape: extents.map(BigInt) };
}

/** What a model says of itself. */
export function manifest(tensors: readonly TensorInit[], fields: ManifestInit = {}): ManifestInit {
  return { modelId: "m", tensors: [...tensors], ...fields };
}

/** The faultless model that most rows spoil. */
export const dense = manifest([tensor("layer.weight", shape)]);

/** Its layer. */
export const denseBytes = float32Bytes(randomValues(30, 7));

/** A faultless LoRA, and its factors. */
export const lora = manifest([tensor("mod.lora.down.weight", [2, 5]), tensor("mod.lora.up.weight", [6, 2])]);
export const loraBytes = [float32Bytes(randomValues(10, 8)), float32Bytes(randomValues(12, 9))];
