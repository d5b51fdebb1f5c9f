import type { MessageInitShape } from "@bufbuild/protobuf";
import { Dtype, type ManifestSchema } from "../src/gen/probestream/v1/types_pb.js";

/** Manifest of a model with one dense float32 tensor, `layer.weight`. */
export function denseManifest(model: {
  readonly rows: number;
  readonly columns: number;
  readonly expert: string;
  readonly uploadId: string;
}): MessageInitShape<typeof ManifestSchema> {
  const shape = [BigInt(model.rows), BigInt(model.columns)];
  return {
    modelId: "bench",
    tensors: [{ name: "layer.weight", dtype: Dtype.F32, shape }],
    experts: model.expert === "" ? [] : [model.expert],
    uploadId: model.uploadId,
  };
}
