import type { FullRecord, ModelRecord } from "../retrieval/retrieval-port.js";
import type { Scalar } from "../vectors/filter.js";
import { toSpaceLabel } from "./find-space.js";
import { toPlain } from "./table.js";

/** Longest value that is shown, in characters. */
const mostShown = 200;

/** Lines that tell all that is known of a model in one space; `expertName` is that of the space. */
export function toRecordLines(record: ModelRecord | FullRecord, expertName: string): string[] {
  const { id, spaceId, tree, base, weightsHash, fileHash, createdMs, updatedMs } = record;
  const facts: readonly (readonly [string, string])[] = [
    ["space", toSpaceLabel({ expertName, spaceId })],
    ["tree", tree],
    ["base", base],
    ["weights", weightsHash],
    ["file", fileHash],
    ["written", toTimes(createdMs, updatedMs)],
    ...Object.entries(record.metadata).map(([name, value]) => [`meta.${name}`, toValueText(value)] as const),
    ...Object.entries(record.claims).map(([name, value]) => [`claim.${name}`, value] as const),
  ];
  const shown = facts.filter(([, value]) => value !== "");
  const width = shown.reduce((widest, [name]) => Math.max(widest, name.length), 0);
  return [toPlain(id), ...shown.map(([name, value]) => `  ${toPlain(name).padEnd(width)}  ${toShort(value)}`)];
}

/** A record as an object of JSON; without its representation unless that is asked for. */
export function toRecordJson(
  record: ModelRecord | FullRecord,
  hasRepresentation: boolean,
): Readonly<Record<string, unknown>> {
  const { id, spaceId, weightsHash, fileHash, tree, base, metadata, claims, createdMs, updatedMs } = record;
  return {
    ...{ id, spaceId, weightsHash, fileHash, tree, base, metadata, claims, createdMs, updatedMs },
    ...(hasRepresentation && "vector" in record && { representation: Array.from(record.vector) }),
  };
}

/** Metadata in one line: `license=mit, rank=16`. */
export function toMetadataText(metadata: Readonly<Record<string, Scalar>>): string {
  return Object.entries(metadata)
    .map(([name, value]) => `${name}=${toShort(toValueText(value))}`)
    .join(", ");
}

/** A text that would be read as something else stands in quotes. */
function toValueText(value: Scalar): string {
  const text = String(value);
  return typeof value === "string" && /^(?:true|false|-?\d.*)$/.test(text) ? JSON.stringify(text) : text;
}

function toShort(text: string): string {
  const characters = [...toPlain(text)];
  return characters.length <= mostShown ? characters.join("") : `${characters.slice(0, mostShown).join("")}…`;
}

function toTimes(createdMs: number, updatedMs: number): string {
  const [created, updated] = [createdMs, updatedMs].map((ms) => new Date(ms).toISOString());
  return created === updated ? `${created}` : `${created}, again ${updated}`;
}
