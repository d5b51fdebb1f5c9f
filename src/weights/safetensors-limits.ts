/**
 * Bytes of a safetensors header at most, as in the reference implementation. A tensor takes about 120 bytes: the LoRA
 * files of `zoo/` measure 1,024 bytes for 8 tensors, a model of 10,000 tensors takes some 1.2 MB.
 *
 * @see https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs `MAX_HEADER_SIZE`
 */
export const MAX_HEADER_BYTES = 100_000_000;

/** Nesting of a header at most; a valid one has three levels: file, tensor, shape. */
export const MAX_HEADER_DEPTH = 8;

/** Extents of a tensor at most; 3-D convolutions have 5. */
export const MAX_DIMENSIONS = 16;

/** Characters of a tensor's name at most; those of `zoo/` measure 40, nested modules reach some 120. */
export const MAX_NAME_CHARACTERS = 4096;
