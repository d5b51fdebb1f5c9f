import { createHash } from "node:crypto";
import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";
import type { ByteSource } from "./byte-source.js";
import { bitsOf, countElements } from "./dtype-bits.js";
import { type JsonObject, type JsonValue, parseJson } from "./json-reader.js";
import type { TensorInfo } from "./layer.js";
import type { ModelHeader, StoredTensor } from "./model-header.js";
import { quoteName } from "./quote-name.js";
import { assertSafetensorsFormat, FORMAT_PREFIX_BYTES } from "./refused-formats.js";
import { MAX_DIMENSIONS, MAX_HEADER_BYTES, MAX_HEADER_DEPTH, MAX_NAME_CHARACTERS } from "./safetensors-limits.js";

/** What a safetensors file says about itself; its metadata are `__metadata__`. */
export interface SafetensorsHeader extends ModelHeader {
  /** Bytes before the first tensor: the length field and the header text. */
  readonly headerBytes: number;
}

const LENGTH_FIELD_BYTES = 8;

/**
 * Reads and checks the header of a safetensors file; the tensors are not touched.
 *
 * Memory: the header, at most {@link MAX_HEADER_BYTES}, and what it says. Its length is checked against the file's
 * before anything is allocated.
 *
 * @throws InvalidInputError `FORMAT_REFUSED` for a pickle and the like, or `HEADER_MALFORMED`.
 * @throws LimitExceededError `LIMIT_EXCEEDED` for a header, name or shape longer than allowed.
 */
export async function readSafetensorsHeader(source: ByteSource, signal?: AbortSignal): Promise<SafetensorsHeader> {
  return readHeaderAfter(await readPrefix(source, signal), source, signal);
}

/** The file's first {@link FORMAT_PREFIX_BYTES}, or all of a shorter one. */
export function readPrefix(source: ByteSource, signal?: AbortSignal): Promise<Uint8Array> {
  return source.read(0, Math.min(source.size, FORMAT_PREFIX_BYTES), signal);
}

/** {@link readSafetensorsHeader} where the prefix has been read. */
export async function readHeaderAfter(
  prefix: Uint8Array,
  source: ByteSource,
  signal?: AbortSignal,
): Promise<SafetensorsHeader> {
  assertSafetensorsFormat(prefix, source.name);
  const headerEnd = LENGTH_FIELD_BYTES + readHeaderLength(prefix, source.size, source.name);
  const bytes = headerEnd <= prefix.length ? prefix : await source.read(0, headerEnd, signal);
  return parseSafetensorsHeader(bytes, source.size, source.name);
}

/**
 * Parses the header of a safetensors file, which may come from a stranger: every tensor must have a known place in
 * the file, as long as its shape and type ask for, without gaps, overlaps or bytes left over.
 *
 * @param bytes The file's start, at least up to the end of the header.
 * @param fileSize Length of the whole file in bytes.
 * @param name What to call the file in messages.
 * @throws InvalidInputError `HEADER_MALFORMED`, naming the tensor.
 * @throws LimitExceededError `LIMIT_EXCEEDED` for a header, name or shape longer than allowed.
 */
export function parseSafetensorsHeader(bytes: Uint8Array, fileSize: number, name = "the file"): SafetensorsHeader {
  const headerBytes = LENGTH_FIELD_BYTES + readHeaderLength(bytes, fileSize, name);
  if (headerBytes > bytes.length) {
    throw malformed(`The header of "${name}" has ${headerBytes} bytes, but only ${bytes.length} were given.`);
  }
  const entries = parseHeaderText(bytes.subarray(LENGTH_FIELD_BYTES, headerBytes), name);
  const tensors: StoredTensor[] = [];
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [key, value] of entries) {
    if (key === "__metadata__") metadata = toMetadata(value, name);
    else tensors.push(toStoredTensor(key, value, headerBytes, name));
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end || (a.name < b.name ? -1 : 1));
  assertLayout(tensors, headerBytes, fileSize, name);
  const digest = createHash("sha256").update(bytes.subarray(0, headerBytes)).digest("hex");
  return { tensors, metadata, headerBytes, digest };
}

/** Length of the header text in bytes, checked against the limit and the file's length. */
function readHeaderLength(bytes: Uint8Array, fileSize: number, name: string): number {
  if (bytes.length < LENGTH_FIELD_BYTES || fileSize < LENGTH_FIELD_BYTES) {
    throw malformed(
      `"${name}" has ${fileSize} bytes; a safetensors file starts with 8 bytes of header length. It is empty, cut short or no safetensors file: download or save it again.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    const message = `The header of "${name}" claims ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed. The file is damaged or no safetensors file.`;
    const facts = { headerBytes: length, maxHeaderBytes: MAX_HEADER_BYTES };
    throw new LimitExceededError("LIMIT_EXCEEDED", message, facts);
  }
  const missing = LENGTH_FIELD_BYTES + Number(length) - fileSize;
  if (missing > 0) {
    throw malformed(
      `The header of "${name}" has ${length} bytes, but the file ends ${missing} bytes before its end: the file is cut short or no safetensors file.`,
      { headerBytes: length, fileSize, missingBytes: missing },
    );
  }
  return Number(length);
}

function parseHeaderText(bytes: Uint8Array, name: string): JsonObject {
  const subject = `The header of "${name}"`;
  if (bytes[0] !== 0x7b) throw malformed(`${subject} does not start with "{"; the file is no safetensors file.`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw malformed(`${subject} is not UTF-8; the file is damaged.`, {}, cause);
  }
  return asObject(parseJson(text, subject, { maxDepth: MAX_HEADER_DEPTH, maxArrayItems: MAX_DIMENSIONS }), subject);
}

function toMetadata(value: JsonValue, name: string): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const [key, text] of asObject(value, `__metadata__ of "${name}"`)) {
    if (typeof text !== "string") {
      throw malformed(`__metadata__ of "${name}" has a value under ${quoteName(key)} that is no text; all must be.`);
    }
    metadata.set(key, text);
  }
  return metadata;
}

function toStoredTensor(key: string, value: JsonValue, headerBytes: number, file: string): StoredTensor {
  if (key.length > MAX_NAME_CHARACTERS) {
    const message = `Tensor ${quoteName(key)} of "${file}" has a name of ${key.length} characters; at most ${MAX_NAME_CHARACTERS} are allowed.`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, {
      characters: key.length,
      maxCharacters: MAX_NAME_CHARACTERS,
    });
  }
  const subject = `Tensor ${quoteName(key)} of "${file}"`;
  const entry = asObject(value, subject);
  const dtype = entry.get("dtype");
  const shape = entry.get("shape");
  const offsets = entry.get("data_offsets");
  if (entry.size !== 3 || dtype === undefined || shape === undefined || offsets === undefined) {
    const keys = [...entry.keys()].slice(0, 8).map(quoteName).join(", ");
    throw malformed(`${subject} has the keys ${keys || "(none)"}; it must have exactly dtype, shape and data_offsets.`);
  }
  if (typeof dtype !== "string") throw malformed(`${subject} has a dtype that is no text.`);
  const [begin, end, ...more] = toSizes(offsets, subject, "data_offsets");
  if (begin === undefined || end === undefined || more.length > 0) {
    throw malformed(`${subject} has data_offsets that are not two numbers.`);
  }
  if (begin > end) throw malformed(`${subject} has data_offsets from ${begin} to ${end}, which end before they begin.`);
  const info = { name: key, dtype, shape: toSizes(shape, subject, "shape") };
  assertByteCount(info, end - begin, subject);
  return { ...info, begin: headerBytes + begin, end: headerBytes + end };
}

function assertByteCount(info: TensorInfo, byteCount: number, subject: string): void {
  const count = countElements(info.shape);
  const bits = bitsOf(info.dtype);
  const wanted = count === undefined ? undefined : (count * (bits ?? 1)) / 8;
  if (wanted === undefined || !Number.isSafeInteger(Math.ceil(wanted))) {
    throw malformed(`${subject} has the shape [${info.shape}], whose size is beyond 2^53; no file is that large.`);
  }
  if (bits !== undefined && wanted !== byteCount) {
    throw malformed(
      `${subject} has ${byteCount} bytes; ${quoteName(info.dtype)} of shape [${info.shape}] needs ${wanted}. The file is damaged or written wrong.`,
      { tensor: info.name, byteCount, wantedBytes: wanted },
    );
  }
}

function toSizes(value: JsonValue, subject: string, what: string): number[] {
  if (!Array.isArray(value)) throw malformed(`${subject} has a ${what} that is no list.`);
  return value.map((item: JsonValue) => {
    if (typeof item === "number" && Number.isSafeInteger(item) && item >= 0) return item + 0;
    throw malformed(`${subject} has a ${what} with an entry that is no whole number from 0 to 2^53 - 1.`);
  });
}

/** The tensors, sorted by place, must follow each other from the header's end to the file's. */
function assertLayout(tensors: readonly StoredTensor[], headerBytes: number, fileSize: number, file: string): void {
  let at = headerBytes;
  for (const { name, begin, end } of tensors) {
    if (begin !== at) {
      const what = begin < at ? `overlaps the one before it by ${at - begin}` : `leaves a gap of ${begin - at}`;
      throw malformed(
        `Tensor ${quoteName(name)} of "${file}" ${what} bytes; tensors must follow each other. The file is damaged or written wrong.`,
        { tensor: name, begin, expectedBegin: at },
      );
    }
    at = end;
  }
  if (at > fileSize) {
    throw malformed(
      `"${file}" has ${fileSize} bytes; its header describes ${at}, so ${at - fileSize} are missing. It was cut short: download or copy it again.`,
      { fileSize, describedBytes: at, missingBytes: at - fileSize },
    );
  }
  if (at < fileSize) {
    throw malformed(
      `"${file}" has ${fileSize - at} bytes after its last tensor; there must be none. The file is damaged or written wrong.`,
      { fileSize, describedBytes: at },
    );
  }
}

function asObject(value: JsonValue, subject: string): JsonObject {
  if (value instanceof Map) return value;
  throw malformed(`${subject} is not described by a JSON object.`);
}

function malformed(
  message: string,
  facts: Record<string, string | number | bigint> = {},
  cause?: unknown,
): InvalidInputError {
  return new InvalidInputError("HEADER_MALFORMED", message, facts, { cause });
}
