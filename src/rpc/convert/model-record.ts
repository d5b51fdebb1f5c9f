import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { InvalidInputError } from "../../errors/probestream-error.js";
import type {
  MetadataValue,
  MetadataValueSchema,
  ModelRecordSchema,
  ModelRecord as WireRecord,
} from "../../gen/probestream/v1/catalogue_service_pb.js";
import type { IndexRequest, IndexRequestSchema } from "../../gen/probestream/v1/embedding_service_pb.js";
import type { FullRecord, ModelRecord } from "../../retrieval/retrieval-port.js";
import type { Scalar } from "../../vectors/filter.js";
import type { IndexFacts } from "../../vectors/index-facts.js";
import type { NewRecord } from "../../vectors/vector-record.js";
import { float32Bytes, fromFloat32Bytes } from "../../weights/safetensors-writer.js";
import { fromWireValue, toWireValue } from "./filter.js";

/** A record for the wire, with its representation if it is there and wanted; times that it lacks are left out. */
export function toWireRecord(
  record: ModelRecord | FullRecord | (NewRecord & Pick<ModelRecord, "spaceId">),
  withRepresentation: boolean,
): MessageInitShape<typeof ModelRecordSchema> {
  const { id, spaceId, weightsHash, fileHash, tree, base, metadata, claims, createdMs, updatedMs } = record;
  return {
    modelId: id,
    spaceId,
    weightsHash,
    fileHash,
    tree,
    base,
    metadata: toWireMetadata(metadata),
    claims: { ...claims },
    ...(createdMs !== undefined && { created: timestampFromMs(createdMs) }),
    ...(updatedMs !== undefined && { updated: timestampFromMs(updatedMs) }),
    ...(withRepresentation && "vector" in record && { representation: float32Bytes(record.vector) }),
  };
}

/** A record from the wire, without its representation. */
export function fromWireRecord(record: WireRecord): ModelRecord {
  const { modelId, spaceId, weightsHash, fileHash, tree, base, metadata, claims, created, updated } = record;
  return {
    id: modelId,
    spaceId,
    weightsHash,
    fileHash,
    tree,
    base,
    metadata: fromWireMetadata(metadata),
    claims,
    createdMs: toMs(created),
    updatedMs: toMs(updated),
  };
}

/**
 * A record with its representation from the wire.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH` for bytes that are no whole numbers of float32.
 */
export function fromFullWireRecord(record: WireRecord): FullRecord {
  return { ...fromWireRecord(record), vector: fromRepresentation(record.representation, `record "${record.modelId}"`) };
}

/** A record of an import; times that are not set are left to the store. */
export function fromImportedRecord(record: WireRecord): NewRecord {
  const { spaceId: _, createdMs, updatedMs, ...rest } = fromFullWireRecord(record);
  return {
    ...rest,
    ...(record.created !== undefined && { createdMs }),
    ...(record.updated !== undefined && { updatedMs }),
  };
}

/** Numbers of a representation. `what` it belongs to, for messages. */
export function fromRepresentation(bytes: Uint8Array, what: string): Float32Array {
  if (bytes.byteLength % Float32Array.BYTES_PER_ELEMENT === 0) return fromFloat32Bytes(bytes);
  throw new InvalidInputError(
    "SHAPE_MISMATCH",
    `the representation of ${what.slice(0, 120)} has ${bytes.byteLength} bytes; float32 numbers take 4 each`,
    { found: bytes.byteLength },
  );
}

/** Metadata for the wire. @throws InvalidInputError `FIELD_INVALID` for a value that is none. */
export function toWireMetadata(
  metadata: Readonly<Record<string, Scalar>>,
): Record<string, MessageInitShape<typeof MetadataValueSchema>> {
  const entries = Object.entries(metadata);
  return Object.fromEntries(entries.map(([name, value]) => [name, toWireValue(value, toWhat(name))]));
}

/** Metadata from the wire. */
export function fromWireMetadata(metadata: Readonly<Record<string, MetadataValue>>): Record<string, Scalar> {
  const entries = Object.entries(metadata);
  return Object.fromEntries(entries.map(([name, value]) => [name, fromWireValue(value, toWhat(name))]));
}

/** What a header wants to be known of its model, from the wire. */
export function fromIndexRequest(request: IndexRequest, headerModelId: string): IndexFacts {
  const { modelId, metadata, claims, fileHash, base, fill } = request;
  return {
    modelId: modelId === "" ? headerModelId : modelId,
    metadata: fromWireMetadata(metadata),
    claims,
    fileHash,
    base,
    fill,
  };
}

/** What is to be known of a model, for the wire. */
export function toIndexRequest(facts: IndexFacts): MessageInitShape<typeof IndexRequestSchema> {
  const { modelId, metadata = {}, claims = {}, fileHash = "", base = "", fill = false } = facts;
  return { modelId, metadata: toWireMetadata(metadata), claims: { ...claims }, fileHash, base, fill };
}

function toWhat(name: string): string {
  return `the metadata field "${name.slice(0, 80)}"`;
}

function toMs(time: Timestamp | undefined): number {
  return time === undefined ? 0 : Math.round(timestampMs(time));
}
