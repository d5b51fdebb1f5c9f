import { createHash } from "node:crypto";
import type { NewRecord } from "../../src/vectors/vector-record.js";
import type { SpaceSpec } from "../../src/vectors/vector-store.js";
import { randomValues } from "./random.js";

/** A content hash made of any text. */
export function toHash(text: string | number): string {
  return createHash("sha256").update(String(text)).digest("hex");
}

/** A space of its own for each name. */
export function createSpace(name: string, width = 8): SpaceSpec {
  return { spaceId: toHash(name), width, expertName: name };
}

/** A record with a seeded vector; what it does not say is empty. */
export function createRecord(id: string, seed: number, parts: Partial<NewRecord> & { width?: number } = {}): NewRecord {
  const { width = 8, ...rest } = parts;
  const vector = randomValues(width, seed);
  return { id, vector, weightsHash: "", fileHash: "", tree: "", base: "", metadata: {}, claims: {}, ...rest };
}

/** Records `PREFIX000`, `PREFIX001` and so on. */
export function createRecords(
  count: number,
  prefix = "model-",
  parts: Parameters<typeof createRecord>[2] = {},
): NewRecord[] {
  return Array.from({ length: count }, (_, index) =>
    createRecord(prefix + String(index).padStart(3, "0"), 1000 + index, parts),
  );
}
