import { join } from "node:path";
import { ProbestreamError } from "../errors/probestream-error.js";
import type { FileOutcome } from "../search/embed-files.js";
import type { PortEmbedding } from "../search/embed-port.js";
import { replaceFile } from "../system/replace-file.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../weights/safetensors-writer.js";
import { toCount } from "./embed-report.js";
import { assertFilePlace, notWritten } from "./written-file.js";

/** Collects results for `--out`. */
export interface OutFile {
  add(outcome: FileOutcome): void;
  /**
   * Writes the file, in place of one that was there; nothing if there is no result. Gives the line that says which.
   *
   * @throws CommandError if it cannot be written.
   */
  write(): Promise<string>;
  /**
   * The same for a command that ends before its end, of the `total` models that it was to embed. Does not throw, as
   * there is an error to tell already: gives the line that says what became of the results.
   */
  writePartial(total: number): Promise<string>;
}

interface Row {
  readonly index: number;
  readonly file: string;
  readonly embedding: PortEmbedding;
}

/**
 * Prepares `--out`: a safetensors file with `representations` [n, r_T] in F32, rows in the order of the files; with
 * texts or classes also `scores` [n, labels]. Metadata: `files`, `labels` (JSON lists), `space_id`, `expert`; `partial`
 * ("812 of 2400 models") in a file of a command that ended early. Where models were served by several experts, each has
 * its own tensors and keys, ending in `.` and its short space id.
 *
 * Memory: the representations and scores.
 */
export async function openOutFile(path: string, textLabels: readonly string[]): Promise<OutFile> {
  await assertFilePlace("--out", path, join(path, "representations.safetensors"));
  const spaces = new Map<string, Row[]>();
  let embedded = 0;
  return {
    add: ({ index, location, outcome }) => {
      if (outcome instanceof ProbestreamError) return;
      embedded++;
      for (const embedding of outcome.embeddings) {
        const rows = spaces.get(embedding.spaceId) ?? [];
        rows.push({ index, file: location, embedding });
        spaces.set(embedding.spaceId, rows);
      }
    },
    write: async () => {
      if (embedded === 0) return `--out: no model was embedded; ${path} was not written`;
      await write(path, encode(spaces, textLabels));
      return `--out: ${path} holds the representations of ${toCount(embedded, "model")}`;
    },
    writePartial: async (total) => {
      const models = toCount(total, "model");
      const before = `--out: ${embedded === 0 ? "none" : embedded} of ${models} ${embedded > 1 ? "were" : "was"} embedded before the end`;
      if (embedded === 0) return `${before}; ${path} was not written`;
      try {
        await write(path, encode(spaces, textLabels, { partial: `${embedded} of ${models}` }));
        return `${before}; ${path} holds ${embedded === 1 ? "it" : "them"}`;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
  };
}

function encode(
  spaces: ReadonlyMap<string, Row[]>,
  textLabels: readonly string[],
  about: Readonly<Record<string, string>> = {},
): Uint8Array {
  const tensors: TensorData[] = [];
  const metadata: Record<string, string> = { format: "probestream-representations/1", ...about };
  for (const [spaceId, unsorted] of spaces) {
    const suffix = spaces.size === 1 ? "" : `.${spaceId.slice(0, 12)}`;
    const rows = [...unsorted].sort((a, b) => a.index - b.index);
    const first = rows[0]?.embedding;
    if (first === undefined) continue;
    tensors.push(toTensor(`representations${suffix}`, rows, ({ representation }) => representation));
    const hasCosines = first.cosines.length > 0;
    if (hasCosines || first.probabilities.length > 0) {
      tensors.push(toTensor(`scores${suffix}`, rows, (e) => (hasCosines ? e.cosines : e.probabilities)));
      metadata[`labels${suffix}`] = JSON.stringify(hasCosines ? textLabels : first.labels);
    }
    metadata[`files${suffix}`] = JSON.stringify(rows.map(({ file }) => file));
    metadata[`space_id${suffix}`] = spaceId;
    metadata[`expert${suffix}`] = first.expertName;
  }
  return encodeSafetensors(tensors, metadata);
}

function toTensor(
  name: string,
  rows: readonly Row[],
  valuesOf: (embedding: PortEmbedding) => Float32Array,
): TensorData {
  const width = rows[0] === undefined ? 0 : valuesOf(rows[0].embedding).length;
  const values = new Float32Array(rows.length * width);
  for (const [index, { embedding }] of rows.entries()) values.set(valuesOf(embedding), index * width);
  return { name, dtype: "F32", shape: [rows.length, width], bytes: float32Bytes(values) };
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  await replaceFile(path, bytes).catch((cause: unknown) => {
    throw notWritten("--out", path, cause);
  });
}
