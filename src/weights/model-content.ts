import { randomUUID } from "node:crypto";
import type { ByteSource } from "./byte-source.js";
import { createMemorySource } from "./memory-source.js";
import { type SafetensorsMetadata, type TensorData, toSafetensorsPieces } from "./safetensors-writer.js";

/** A model that is in memory: the bytes of a file, or its tensors. Neither is copied, so neither may change meanwhile. */
export type ModelContent =
  | {
      /** What to call it in messages. */
      readonly name: string;
      /** A whole safetensors file, or a PyTorch checkpoint. */
      readonly bytes: Uint8Array;
    }
  | {
      readonly name: string;
      readonly tensors: readonly TensorData[];
      /** As in a safetensors file. Default none. */
      readonly metadata?: SafetensorsMetadata | undefined;
    };

/**
 * The content as if it were a file. It is not identified: to tell content apart it would have to be read whole.
 *
 * @throws as `encodeSafetensors` for tensors.
 */
export function createContentSource(content: ModelContent): ByteSource {
  const bytes = "bytes" in content ? content.bytes : toSafetensorsPieces(content.tensors, content.metadata);
  return createMemorySource(bytes, content.name, { fingerprint: randomUUID(), isIdentified: false });
}
