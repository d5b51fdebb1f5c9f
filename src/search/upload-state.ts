import { createHash } from "node:crypto";
import { CorruptDataError } from "../errors/probestream-error.js";
import type { StatePart } from "../projection/accumulator.js";
import { createMemorySource } from "../weights/memory-source.js";
import { readTensors } from "../weights/safetensors-file.js";
import { encodeSafetensors, float32Bytes, fromFloat32Bytes, type TensorData } from "../weights/safetensors-writer.js";
import type { ModelState } from "./embed-messages.js";

/** A saved upload: what to go on with, and the plan under which it makes sense. */
export interface UploadState {
  /** {@link EmbeddingPlan.fingerprint} of the plan it was begun under. */
  readonly fingerprint: string;
  readonly state: ModelState;
}

/** Version of the layout below; another one is treated as absent. */
const layout = "probestream-upload/1";

/** Bytes of a saved upload, about: what it takes of a store's room. */
export function uploadStateBytes({ state }: UploadState): number {
  const digests = state.tensors.reduce((sum, { segmentDigests }) => sum + segmentDigests.byteLength, 0);
  return state.targets.flat().reduce((sum, { values }) => sum + values.byteLength, digests + 1024);
}

/** A saved upload as a safetensors file: accumulators and digests are tensors, the rest is metadata. */
export function encodeUploadState({ fingerprint, state }: UploadState): Uint8Array {
  const tensors: TensorData[] = [
    ...state.targets.flatMap((parts, target) =>
      parts.map(({ name, rows, columns, values }) => ({
        name: `target.${target}.${name}`,
        dtype: "F32",
        shape: [rows, columns],
        bytes: float32Bytes(values),
      })),
    ),
    ...state.tensors.map(({ segmentDigests }, tensor) => ({
      name: `digests.${tensor}`,
      dtype: "U8",
      shape: [segmentDigests.byteLength],
      bytes: segmentDigests,
    })),
  ];
  const offsets = JSON.stringify(state.tensors.map(({ offset }) => offset));
  const targets = String(state.targets.length);
  const facts = { layout, fingerprint, offsets, targets };
  return encodeSafetensors(tensors, { ...facts, digest: toDigest(facts, tensors) });
}

/** What a saved upload says beside its tensors. */
interface Facts {
  readonly layout: string | undefined;
  readonly fingerprint: string | undefined;
  readonly offsets: string | undefined;
  readonly targets: string | undefined;
}

/** SHA-256 over facts, names and bytes: a flipped bit in a sum would otherwise show in nothing. */
function toDigest(facts: Facts, tensors: Iterable<TensorData>): string {
  const { layout, fingerprint, offsets, targets } = facts;
  const hash = createHash("sha256").update(JSON.stringify([layout, fingerprint, offsets, targets]));
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { bytes, ...info } of sorted)
    hash.update(JSON.stringify([info.name, info.dtype, info.shape])).update(bytes);
  return hash.digest("hex");
}

/**
 * Reads what {@link encodeUploadState} wrote.
 *
 * @throws CorruptDataError `CORRUPT` if it is damaged.
 */
export async function parseUploadState(bytes: Uint8Array, name: string): Promise<UploadState> {
  try {
    const { tensors, metadata } = await readTensors(createMemorySource(bytes, name));
    const facts: Facts = {
      layout: metadata.get("layout"),
      fingerprint: metadata.get("fingerprint"),
      offsets: metadata.get("offsets"),
      targets: metadata.get("targets"),
    };
    if (metadata.get("digest") !== toDigest(facts, tensors.values())) throw new Error("the digest differs");
    const { fingerprint } = facts;
    const offsets: unknown = JSON.parse(facts.offsets ?? "");
    if (facts.layout !== layout || fingerprint === undefined || !Array.isArray(offsets)) {
      throw new Error("the metadata is incomplete");
    }
    const targets = Array.from({ length: Number(facts.targets) }, (_, target): StatePart[] => {
      const prefix = `target.${target}.`;
      return [...tensors.values()].filter((tensor) => tensor.name.startsWith(prefix)).map((t) => toPart(t, prefix));
    });
    const states = offsets.map((offset: unknown, tensor) => {
      if (!Number.isSafeInteger(offset)) throw new Error("an offset is no whole number");
      return { offset: offset as number, segmentDigests: tensors.get(`digests.${tensor}`)?.bytes ?? new Uint8Array(0) };
    });
    return { fingerprint, state: { tensors: states, targets } };
  } catch (cause) {
    throw new CorruptDataError("CORRUPT", `the saved upload ${name} is damaged; it starts again at 0`, {}, { cause });
  }
}

function toPart({ name, shape, bytes }: TensorData, prefix: string): StatePart {
  const [rows = 0, columns = 0] = shape;
  const values = fromFloat32Bytes(bytes);
  return { name: name.slice(prefix.length), rows, columns, values };
}
