import { createHash } from "node:crypto";
import { open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ErrorReason } from "../../errors/error-reason.js";
import { toProbestreamError } from "../../errors/plain-error.js";
import { makeFolder } from "../../system/make-folder.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import { openModel } from "../../weights/model-file.js";
import { toWriteError } from "../to-write-error.js";
import { describeLayer, type LayerRule } from "./describe-layer.js";
import { readLayer } from "./read-layer.js";

/** Why a layer cannot be used: the reason of the error that its reading ended in, or that all its numbers are one. */
export type LayerRefusal = ErrorReason | "CONSTANT";

/** A layer of one model in the packed file, or why there is none. */
export type PackedRecord = { readonly location: string; readonly size: number; readonly mtimeMs: number } & (
  | { readonly rows: number; readonly columns: number; readonly rank?: number; readonly offset: number }
  | { readonly refused: string; readonly kind: LayerRefusal }
);

/** One layer of many models, in a file of its own. */
export interface PackedLayers {
  readonly rule: LayerRule;
  /** The file of numbers: float32, those of `X`, or of `down` and then `up`, at each record's offset. */
  readonly path: string;
  /** One per model, in the order asked for. */
  readonly records: readonly PackedRecord[];
}

/** Options of {@link packLayers}. */
export interface PackOptions {
  /** Where packed layers are kept, and found again. */
  readonly folder: string;
  readonly signal?: AbortSignal;
  /** Hears how many models are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Models read at a time. */
const modelsAtOnce = 8;
/** Models after which their layers are written. */
const modelsPerWrite = 64;
/** Bump it when what is packed changes. */
const format = 3;

/**
 * Packs layers of many models into one file per layer, so that training reads no model file again. All layers are read
 * in one pass: each model is opened once. A model that was packed before, and whose file has the same size and time of
 * change, is not opened at all. What cannot be read becomes a record with its reason.
 *
 * Memory: the layers of {@link modelsPerWrite} models, and a record per model and layer.
 *
 * @throws UnavailableError `SOURCE_UNAVAILABLE` if the folder cannot be written.
 */
export async function packLayers(
  locations: readonly string[],
  rules: readonly LayerRule[],
  { folder, signal, onProgress }: PackOptions,
): Promise<PackedLayers[]> {
  await makeFolder(folder).catch((error: unknown) => {
    throw toWriteError(error, folder);
  });
  const packs: Pack[] = [];
  try {
    for (const rule of rules) packs.push(await openPack(folder, rule));
    let done = 0;
    for (let begin = 0; begin < locations.length; begin += modelsPerWrite) {
      const part = locations.slice(begin, begin + modelsPerWrite);
      const found = await mapConcurrently(part, modelsAtOnce, async (location) => {
        signal?.throwIfAborted();
        const layers = await readModel(location, packs, signal);
        onProgress?.(++done, locations.length);
        return layers;
      });
      for (const layers of found) {
        for (const [index, layer] of layers.entries()) await (packs[index] as Pack).add(layer);
      }
    }
    return await Promise.all(packs.map((pack) => pack.close(locations)));
  } finally {
    await Promise.all(packs.map((pack) => pack.end()));
  }
}

type Unplaced = PackedRecord extends infer R ? (R extends { offset: number } ? Omit<R, "offset"> : R) : never;

/** A layer that was read, or the record of before. */
interface ReadLayer {
  readonly record: Unplaced | PackedRecord;
  readonly values: readonly Float32Array[];
}

interface Pack {
  readonly rule: LayerRule;
  find(location: string, size: number, mtimeMs: number): PackedRecord | undefined;
  add(layer: ReadLayer): Promise<void>;
  /** Writes the index, and gives the records of these models. */
  close(locations: readonly string[]): Promise<PackedLayers>;
  end(): Promise<void>;
}

async function openPack(folder: string, rule: LayerRule): Promise<Pack> {
  const { module, kind, layout, loraScale, rows } = rule;
  const rules = JSON.stringify([format, module, kind, layout, loraScale, rows?.begin, rows?.end]);
  const name = createHash("sha256").update(rules).digest("hex").slice(0, 24);
  const [path, indexPath] = [join(folder, `${name}.f32`), join(folder, `${name}.json`)];
  const known = await readIndex(indexPath, path);
  const file = await open(path, known.size === 0 ? "w" : "r+").catch((error: unknown) => {
    throw toWriteError(error, path);
  });
  let end = known.size === 0 ? 0 : (await file.stat()).size;
  return {
    rule,
    find: (location, size, mtimeMs) => {
      const record = known.get(location);
      return record?.size === size && record.mtimeMs === mtimeMs ? record : undefined;
    },
    add: async ({ record, values }) => {
      if ("refused" in record || "offset" in record) {
        known.set(record.location, record);
        return;
      }
      known.set(record.location, { ...record, offset: end });
      for (const part of values) {
        await file.write(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), 0, part.byteLength, end);
        end += part.byteLength;
      }
    },
    close: async (locations) => {
      // First the numbers, then the index that points at them, which is there whole or not at all.
      await file.sync();
      const temporary = `${indexPath}.${process.pid}`;
      await writeFile(temporary, JSON.stringify({ bytes: end, records: [...known.values()] }));
      await rename(temporary, indexPath);
      const records = locations.map((location) => known.get(location) as PackedRecord);
      return { rule, path, records };
    },
    end: () => file.close(),
  };
}

/** Records by location; none if there is no index, or its file of numbers is not as long as it was. */
async function readIndex(indexPath: string, path: string): Promise<Map<string, PackedRecord>> {
  try {
    const { bytes, records }: { bytes: number; records: PackedRecord[] } = JSON.parse(
      await readFile(indexPath, "utf8"),
    );
    if ((await stat(path)).size < bytes) return new Map();
    return new Map(records.map((record) => [record.location, record]));
  } catch {
    return new Map();
  }
}

async function readModel(
  location: string,
  packs: readonly Pack[],
  signal: AbortSignal | undefined,
): Promise<ReadLayer[]> {
  const stats = await stat(location).catch(() => undefined);
  const file = { location, size: stats?.size ?? 0, mtimeMs: stats?.mtimeMs ?? 0 };
  const before = packs.map((pack) => pack.find(location, file.size, file.mtimeMs));
  if (before.every((record) => record !== undefined)) return before.map((record) => ({ record, values: [] }));
  const refuse = (error: unknown): ReadLayer => {
    signal?.throwIfAborted();
    const { message, reason } = toProbestreamError(error);
    return { record: { ...file, refused: message, kind: reason }, values: [] };
  };
  try {
    const model = await openModel(location, { signal });
    try {
      const layers: ReadLayer[] = [];
      for (const [index, { rule }] of packs.entries()) {
        const record = before[index];
        layers.push(
          record === undefined ? await readPart(model, rule, file, signal).catch(refuse) : { record, values: [] },
        );
      }
      return layers;
    } finally {
      await model.close();
    }
  } catch (error) {
    return packs.map(() => refuse(error));
  }
}

async function readPart(
  model: Awaited<ReturnType<typeof openModel>>,
  rule: LayerRule,
  file: { readonly location: string; readonly size: number; readonly mtimeMs: number },
  signal: AbortSignal | undefined,
): Promise<ReadLayer> {
  const spec = describeLayer(model.tensors, rule);
  const inputs = await readLayer(model, spec, signal);
  const values = [...inputs.values()];
  if (values.some((part) => part.every((value) => value === part[0]))) {
    const message = `all numbers of the layer "${rule.module}" are ${values[0]?.[0]}: it was never trained`;
    return { record: { ...file, refused: message, kind: "CONSTANT" }, values: [] };
  }
  const { rows, columns } = spec.shape;
  const down = inputs.get("down");
  return {
    record: { ...file, rows, columns, ...(down !== undefined && { rank: down.length / columns }) },
    values,
  };
}
