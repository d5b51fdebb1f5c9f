import { createHash } from "node:crypto";
import { CorruptDataError, InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import type { ByteSource } from "../byte-source.js";
import { bitsOf, countElements } from "../dtype-bits.js";
import type { ModelHeader, StoredTensor } from "../model-header.js";
import { quoteName } from "../quote-name.js";
import type { PickleTensor } from "./pickle-values.js";
import { readPickle } from "./read-pickle.js";
import { toStateDict } from "./state-dict.js";
import { readZipEntries, type ZipEntry } from "./zip-entries.js";

/** Bytes of the pickle in a checkpoint: of the largest models in use 10 MiB. */
const MAX_PICKLE_BYTES = 67_108_864;

/**
 * Reads what a checkpoint of PyTorch 1.6 and later (`.bin`, `.pt`, `.pth`, `.ckpt`: a zip archive) says about its
 * tensors; no weights are read and nothing of the pickle is executed. Tensors that do not lie in a row, as views may,
 * get a type that no one reads, so that the others can be.
 *
 * Memory: the pickle, at most 64 MiB, and what it says.
 *
 * @throws InvalidInputError `FORMAT_REFUSED` for a pickle that asks for anything but plain data and tensors, or
 * `HEADER_MALFORMED`; CorruptDataError `CORRUPT` where the archive is damaged or tensors go past their storage;
 * LimitExceededError `LIMIT_EXCEEDED`; and what the source throws.
 */
export async function readTorchHeader(source: ByteSource, signal?: AbortSignal): Promise<ModelHeader> {
  const file = source.name;
  const entries = await readZipEntries(source, (name) => toPlace(name) !== undefined, signal);
  const byPlace = new Map([...entries].map(([name, entry]) => [toPlace(name) ?? name, entry]));
  const order = await readEntry(source, byPlace.get("byteorder"), signal);
  if (order !== undefined && Buffer.from(order).toString("latin1").trim() !== "little") {
    const message = `"${file}" was saved with the high byte first; save it on a machine with the low byte first.`;
    throw new InvalidInputError("FORMAT_REFUSED", message, { file });
  }
  const pickle = await readEntry(source, byPlace.get("data.pkl"), signal);
  if (pickle === undefined) throw damaged(file, "it has no data.pkl");
  const { tensors, metadata } = toStateDict(readPickle(pickle, file), file);
  const stored = [...tensors].map(([name, tensor]) => toStored(name, tensor, byPlace, file));
  stored.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const places = JSON.stringify([...byPlace].map(([place, { begin, end }]) => [place, begin, end]));
  return { tensors: stored, metadata, digest: createHash("sha256").update(pickle).update(places).digest("hex") };
}

/** What an entry is for: `<any folder>/data.pkl`, `/byteorder` or `/data/<key>`; undefined for all others. */
function toPlace(name: string): string | undefined {
  return /^[^/]+\/(data\.pkl|byteorder|data\/\d{1,15})$/.exec(name)?.[1];
}

async function readEntry(
  source: ByteSource,
  entry: ZipEntry | undefined,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  if (entry === undefined) return undefined;
  const bytes = entry.end - entry.begin;
  if (bytes <= MAX_PICKLE_BYTES) return source.read(entry.begin, entry.end, signal);
  const message = `The pickle in "${source.name}" has ${bytes} bytes; at most ${MAX_PICKLE_BYTES} are read. Save the model's state dict alone, or as safetensors.`;
  throw new LimitExceededError("LIMIT_EXCEEDED", message, { file: source.name, maxPickleBytes: MAX_PICKLE_BYTES });
}

function toStored(
  name: string,
  { storage, offset, shape, strides }: PickleTensor,
  places: ReadonlyMap<string, ZipEntry>,
  file: string,
): StoredTensor {
  const entry = places.get(`data/${storage.key}`);
  const bits = bitsOf(storage.dtype ?? "");
  const elements = countElements(shape);
  if (entry === undefined || storage.dtype === undefined || bits === undefined || elements === undefined) {
    throw damaged(file, `tensor ${quoteName(name)} has no storage, type or size`);
  }
  const elementBytes = bits / 8;
  const last = elements === 0 ? 0 : shape.reduce((sum, extent, i) => sum + (extent - 1) * (strides[i] ?? 0), 1);
  if ((offset + last) * elementBytes > entry.end - entry.begin) {
    throw damaged(file, `tensor ${quoteName(name)} goes past the end of its storage`);
  }
  const begin = entry.begin + offset * elementBytes;
  if (isRowMajor(shape, strides)) {
    return { name, dtype: storage.dtype, shape, begin, end: begin + elements * elementBytes };
  }
  return { name, dtype: `${storage.dtype}_STRIDED`, shape, begin, end: begin + last * elementBytes };
}

/** Whether elements lie one after another, the last axis the fastest. */
function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    const extent = shape[axis] ?? 0;
    if (extent === 0) return true;
    if (extent !== 1 && strides[axis] !== step) return false;
    step *= extent;
  }
  return true;
}

function damaged(file: string, problem: string): CorruptDataError {
  const message = `"${file}" is damaged: ${problem}. Save or download it again.`;
  return new CorruptDataError("CORRUPT", message, { file });
}
