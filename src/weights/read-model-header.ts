import type { ByteSource } from "./byte-source.js";
import type { ModelHeader } from "./model-header.js";
import { isTorchArchive } from "./refused-formats.js";
import { readHeaderAfter, readPrefix } from "./safetensors-header.js";
import { readTorchHeader } from "./torch/read-torch-header.js";

/**
 * Reads what a file says about its tensors: safetensors, or a checkpoint of PyTorch 1.6 and later. Content decides, not
 * the name.
 *
 * @throws as `readSafetensorsHeader` and `readTorchHeader`.
 */
export async function readModelHeader(source: ByteSource, signal?: AbortSignal): Promise<ModelHeader> {
  const prefix = await readPrefix(source, signal);
  return isTorchArchive(prefix) ? readTorchHeader(source, signal) : readHeaderAfter(prefix, source, signal);
}
