import { CorruptDataError } from "../errors/probestream-error.js";
import type { ModelFile } from "./model-file.js";
import { quoteName } from "./quote-name.js";

/**
 * Reads bytes `begin` to `end` of a tensor, counted from its first, into memory.
 *
 * @throws CorruptDataError `CORRUPT` if the file ends before; what the file throws.
 */
export async function readRange(
  model: ModelFile,
  name: string,
  begin: number,
  end: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  let filled = 0;
  for await (const piece of model.streamTensor(name, begin, end, { signal })) {
    bytes.set(piece, filled);
    filled += piece.byteLength;
  }
  if (filled === bytes.byteLength) return bytes;
  const message = `Tensor ${quoteName(name)} of "${model.location}" ended after ${begin + filled} of ${end} bytes. Read the file again.`;
  throw new CorruptDataError("CORRUPT", message, { tensor: name, bytes: begin + filled });
}
