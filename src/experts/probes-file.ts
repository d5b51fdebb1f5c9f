import { createHash } from "node:crypto";
import { CorruptDataError } from "../errors/probestream-error.js";
import { readTensors } from "../weights/safetensors-file.js";
import { encodeSafetensors, type TensorData } from "../weights/safetensors-writer.js";
import type { ExpertProbes } from "./expert-probes.js";

/** Version of the layout below. */
const format = "probestream-probes/1";

/**
 * Probes as a safetensors file: their tensors, and in the metadata `format`, `expert` (a JSON of the rest) and `digest`, the
 * SHA-256 of both.
 */
export function encodeProbes({ tensors, ...rest }: ExpertProbes): Uint8Array {
  const stored = tensors.map(
    ({ name, rows, columns, values }): TensorData => ({
      name,
      dtype: "F32",
      shape: [rows, columns],
      bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    }),
  );
  const expert = JSON.stringify(rest);
  return encodeSafetensors(stored, { format, expert, digest: toDigest(expert, stored) });
}

/**
 * Reads what {@link encodeProbes} wrote.
 *
 * @throws CorruptDataError `CORRUPT` if it is damaged, or not a file of this kind; what reading throws where there is none.
 */
export async function readProbesFile(path: string, signal?: AbortSignal): Promise<ExpertProbes> {
  const { tensors, metadata } = await readTensors(path, { signal });
  const expert = metadata.get("expert") ?? "";
  const stored = [...tensors.values()];
  if (metadata.get("format") !== format || metadata.get("digest") !== toDigest(expert, stored)) {
    throw new CorruptDataError("CORRUPT", `${path} holds no probes, or damaged ones; remove it`, { file: path });
  }
  // Nobody but `encodeProbes` makes the digest right.
  const rest = JSON.parse(expert) as Omit<ExpertProbes, "tensors">;
  return {
    ...rest,
    tensors: stored.map(({ name, shape: [rows = 0, columns = 0], bytes }) => {
      // Each has a buffer of its own.
      return { name, rows, columns, values: new Float32Array(bytes.buffer, bytes.byteOffset, rows * columns) };
    }),
  };
}

/** Over the facts, then per tensor by name its shape and bytes. */
function toDigest(expert: string, tensors: readonly TensorData[]): string {
  const hash = createHash("sha256").update(JSON.stringify([format, expert]));
  for (const { name, dtype, shape, bytes } of [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(JSON.stringify([name, dtype, shape])).update(bytes);
  }
  return hash.digest("hex");
}
