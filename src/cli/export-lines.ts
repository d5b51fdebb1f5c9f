import type { FullRecord } from "../retrieval/retrieval-port.js";
import type { Scalar } from "../vectors/filter.js";
import type { VectorRecord } from "../vectors/vector-record.js";
import { float32Bytes, fromFloat32Bytes } from "../weights/safetensors-writer.js";

/** What the first line of an export says. */
export interface ExportHead {
  readonly format: typeof exportFormat;
  readonly spaceId: string;
  readonly expertName: string;
  /** Numbers per representation. */
  readonly width: number;
}

/** Format of an export of JSON lines: a head, a record per line, and a line that says how many there are. */
const exportFormat = "probestream-export/1";

/** The first line. */
export function toHeadLine(head: Omit<ExportHead, "format">): string {
  return JSON.stringify({ format: exportFormat, ...head });
}

/** A record; its representation as base64 of little-endian float32 numbers, which come back bit for bit. */
export function toRecordLine(record: FullRecord): string {
  const { id, vector, weightsHash, fileHash, tree, base, metadata, claims, createdMs, updatedMs } = record;
  const representation = Buffer.from(float32Bytes(vector).buffer).toString("base64");
  return JSON.stringify({
    ...{ id, weightsHash, fileHash, tree, base, metadata, claims, createdMs, updatedMs, representation },
  });
}

/** The last line: a file without it was cut off. */
export function toEndLine(count: number): string {
  return JSON.stringify({ end: count });
}

/** What a line of an export is. */
export type ExportLine =
  | { readonly head: ExportHead }
  | { readonly record: VectorRecord }
  | { readonly end: number }
  | { readonly wrong: string };

/** Reads a line as the functions above write it. Never throws: what is wrong with it is said in its place. */
export function parseExportLine(line: string): ExportLine {
  const value = parseObject(line);
  if (value === undefined) return { wrong: "no JSON object" };
  if (typeof value["format"] === "string") return toHead(value);
  if (typeof value["end"] === "number") return { end: value["end"] };
  return toRecord(value);
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseObject(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function toHead({ format, spaceId, expertName, width }: JsonObject): ExportLine {
  if (format !== exportFormat)
    return { wrong: `its format is ${JSON.stringify(format)}; it must be "${exportFormat}"` };
  if (typeof spaceId !== "string" || !/^[0-9a-f]{64}$/.test(spaceId)) return { wrong: "spaceId is no space id" };
  if (typeof expertName !== "string") return { wrong: "expertName is no text" };
  if (typeof width !== "number" || !Number.isSafeInteger(width) || width < 1) return { wrong: "width is no count" };
  return { head: { format, spaceId, expertName, width } };
}

function toRecord(value: JsonObject): ExportLine {
  const { id, weightsHash = "", fileHash = "", tree = "", base = "", metadata = {}, claims = {} } = value;
  const { createdMs, updatedMs, representation } = value;
  if (typeof id !== "string" || id === "") return { wrong: "it has no id" };
  const about = `the record ${JSON.stringify(id.slice(0, 80))}: `;
  const texts = { weightsHash, fileHash, tree, base };
  for (const [name, text] of Object.entries(texts)) {
    if (typeof text !== "string") return { wrong: `${about}${name} is no text` };
  }
  if (!isObject(metadata) || !Object.values(metadata).every(isScalar)) {
    return { wrong: `${about}metadata must hold texts, numbers and truths` };
  }
  if (!isObject(claims) || !Object.values(claims).every((text) => typeof text === "string")) {
    return { wrong: `${about}claims must hold texts` };
  }
  if (!isTime(createdMs) || !isTime(updatedMs)) return { wrong: `${about}createdMs and updatedMs must be times` };
  const vector = typeof representation === "string" ? toVector(representation) : undefined;
  if (vector === undefined) return { wrong: `${about}representation is no base64 of float32 numbers` };
  return {
    record: {
      ...{ id, vector, createdMs, updatedMs },
      ...(texts as Readonly<Record<keyof typeof texts, string>>),
      metadata: metadata as Readonly<Record<string, Scalar>>,
      claims: claims as Readonly<Record<string, string>>,
    },
  };
}

function toVector(base64: string): Float32Array | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  const bytes = Buffer.from(base64, "base64");
  if (bytes.byteLength === 0 || bytes.byteLength % 4 !== 0) return undefined;
  return fromFloat32Bytes(bytes);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isScalar(value: unknown): value is Scalar {
  return (
    typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))
  );
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
