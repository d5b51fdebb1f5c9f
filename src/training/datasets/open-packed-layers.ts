import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { CorruptDataError, InvalidInputError } from "../../errors/probestream-error.js";
import type { LayerSet } from "./layer-set.js";
import type { LayerRefusal, PackedLayers, PackedRecord } from "./pack-layers.js";

/** A model whose layer cannot be used. */
export interface RefusedLayer {
  /** The index that it has in `PackedLayers.records`. */
  readonly index: number;
  readonly kind: LayerRefusal;
  readonly reason: string;
}

/** Packed layers that are ready for training. */
export interface OpenedLayers {
  readonly layers: LayerSet;
  /** Which records the set holds, in their order: the indices that they have in `PackedLayers.records`. */
  readonly kept: readonly number[];
  /** Why the others are left out. */
  readonly refused: readonly RefusedLayer[];
  close(): Promise<void>;
}

/** Bytes of layers that are kept once they were read: 32,768 LoRA layers of rank 8 and 128 × 128. */
const mostHeldBytes = 256 * 1024 * 1024;

type Present = Extract<PackedRecord, { offset: number }>;

/**
 * Opens packed layers as a set of one shape: that of most models; the others are refused. LoRA layers of lower rank are
 * filled up with zeros, which leaves B·A as it is. Layers are read from the file when they are asked for, and kept as long as there
 * is room.
 *
 * Memory: 256 MiB of layers.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH` if no layer is there at all.
 */
export async function openPackedLayers({ rule, path, records }: PackedLayers): Promise<OpenedLayers> {
  const shape = toCommonShape(records);
  if (shape === undefined) {
    const [example] = records;
    const reason = example !== undefined && "refused" in example ? `; of the first: ${example.refused}` : "";
    throw new InvalidInputError(
      "SHAPE_MISMATCH",
      `none of the ${records.length} models has a layer "${rule.module}" that can be read${reason}`,
      { module: rule.module },
    );
  }
  const kept: number[] = [];
  const present: Present[] = [];
  const refused: RefusedLayer[] = [];
  for (const [index, record] of records.entries()) {
    if ("refused" in record) refused.push({ index, kind: record.kind, reason: record.refused });
    else if (toShapeText(record) !== shape) {
      const reason = `the layer is ${toShapeText(record)}, that of most models ${shape}`;
      refused.push({ index, kind: "SHAPE_MISMATCH", reason });
    } else {
      kept.push(index);
      present.push(record);
    }
  }
  const [{ rows, columns }] = present as [Present, ...Present[]];
  const ranks = present.flatMap(({ rank }) => (rank === undefined ? [] : [rank]));
  const rank = ranks.reduce((most, next) => Math.max(most, next), 0);
  const file = await open(path);
  const held = new Map<number, Float32Array>();
  let heldBytes = 0;
  const read = async (index: number): Promise<Float32Array> => {
    const known = held.get(index);
    if (known !== undefined) return known;
    const { offset, rank: own } = take(index);
    const values = new Float32Array(own === undefined ? rows * columns : own * (rows + columns));
    const { bytesRead } = await file.read(new Uint8Array(values.buffer), 0, values.byteLength, offset);
    if (bytesRead < values.byteLength) {
      throw new CorruptDataError("CORRUPT", `${path} ends at ${offset + bytesRead}; delete it to pack the layers anew`);
    }
    if (heldBytes + values.byteLength <= mostHeldBytes) {
      held.set(index, values);
      heldBytes += values.byteLength;
    }
    return values;
  };
  const take = (index: number): Present => {
    const record = present[index];
    if (record === undefined) throw new InvalidInputError("FIELD_INVALID", `there is no layer ${index}`);
    return record;
  };
  return {
    kept,
    refused,
    layers: {
      count: present.length,
      identity: createHash("sha256")
        .update(JSON.stringify([rule, present]))
        .digest("hex"),
      layer: rule.kind === "lora" ? { rows, columns, rank } : { rows, columns },
      read: async (indices) => {
        const picked = await Promise.all(Array.from(indices, read));
        if (rule.kind === "dense") {
          const x = new Float32Array(picked.length * rows * columns);
          for (const [i, values] of picked.entries()) x.set(values, i * rows * columns);
          return new Map([["X", x]]);
        }
        const down = new Float32Array(picked.length * rank * columns);
        const up = new Float32Array(picked.length * rank * rows);
        for (const [i, values] of picked.entries()) {
          // Both factors of one model, of its own rank.
          const split = (values.length / (rows + columns)) * columns;
          down.set(values.subarray(0, split), i * rank * columns);
          up.set(values.subarray(split), i * rank * rows);
        }
        return new Map([
          ["down", down],
          ["up", up],
        ]);
      },
    },
    close: () => file.close(),
  };
}

function toShapeText({ rows, columns }: Present): string {
  return `${rows} × ${columns}`;
}

/** The shape that most layers have; of equally common ones the first that comes. */
function toCommonShape(records: readonly PackedRecord[]): string | undefined {
  const counts = new Map<string, number>();
  for (const record of records) {
    if ("refused" in record) continue;
    const shape = toShapeText(record);
    counts.set(shape, (counts.get(shape) ?? 0) + 1);
  }
  return [...counts].reduce<[string | undefined, number]>(
    (most, next) => (next[1] > most[1] ? next : most),
    [undefined, 0],
  )[0];
}
