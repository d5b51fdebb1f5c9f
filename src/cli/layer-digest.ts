import type { ModelPlan } from "../search/embed-port.js";
import { createUploadDigest } from "../search/upload-digest.js";
import type { ModelFile } from "../weights/model-file.js";

/**
 * The hash of weights that a model has in a catalogue: the digest of what its plan streams, as the footer of an upload
 * carries it; 64 hexadecimal digits. Reads these ranges once. Memory: a piece of them.
 *
 * @throws what reading throws; the signal's reason.
 */
export async function readLayerDigest(model: ModelFile, plan: ModelPlan, signal: AbortSignal): Promise<string> {
  const digest = createUploadDigest();
  for (const { tensor, beginByte, endByte } of plan.tensors) {
    for await (const bytes of model.streamTensor(tensor.name, beginByte, endByte, { signal })) digest.update(bytes);
    digest.endRange();
  }
  return Buffer.from(digest.finish()).toString("hex");
}
