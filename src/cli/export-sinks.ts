import { basename, extname } from "node:path";
import type { CatalogueSpace, FullRecord } from "../retrieval/retrieval-port.js";
import { float32Bytes } from "../weights/safetensors-writer.js";
import { usageError } from "./exit-codes.js";
import { toCsvHead, toCsvLine } from "./export-csv.js";
import { toEndLine, toHeadLine, toRecordLine } from "./export-lines.js";
import { openPartFile, type PartFile } from "./part-file.js";
import type { Terminal } from "./terminal.js";
import { assertFilePlace } from "./written-file.js";

/** Forms of an export. */
export const exportFormats = ["jsonl", "csv", "safetensors"] as const;

/** One of {@link exportFormats}. */
export type ExportFormat = (typeof exportFormats)[number];

/** Takes records in the order of their ids. */
export interface ExportSink {
  add(records: readonly FullRecord[]): Promise<void>;
  /** Ends a whole export; files are in their place then. */
  finish(): Promise<void>;
  /** Ends one that broke off: files are removed. */
  discard(): Promise<void>;
}

/** What is exported, and where to. */
export interface ExportTarget {
  readonly space: CatalogueSpace;
  readonly format: ExportFormat;
  /** Absent: standard output. */
  readonly path: string | undefined;
}

/**
 * Opens what an export is written to. Memory: a batch of records.
 *
 * @throws CommandError if a file cannot be written, or safetensors are to go to standard output.
 */
export async function openExportSink(target: ExportTarget, terminal: Terminal): Promise<ExportSink> {
  const { space, format, path } = target;
  if (format === "safetensors") {
    if (path === undefined) throw usageError("--format safetensors makes two files; name the first with --out");
    return openTensorSink(space, path);
  }
  const lines = await openLines(path, terminal);
  if (format === "csv") {
    const { fields } = space;
    await orDiscard(lines, () => lines.write([toCsvHead(fields)]));
    return {
      add: (records) => lines.write(records.map((record) => toCsvLine(record, fields))),
      finish: lines.commit,
      discard: lines.discard,
    };
  }
  const { spaceId, expertName, width } = space;
  let count = 0;
  await orDiscard(lines, () => lines.write([toHeadLine({ spaceId, expertName, width })]));
  return {
    add: async (records) => {
      count += records.length;
      await lines.write(records.map(toRecordLine));
    },
    finish: async () => {
      await lines.write([toEndLine(count)]);
      await lines.commit();
    },
    discard: lines.discard,
  };
}

async function beginFile(path: string): Promise<PartFile> {
  await assertFilePlace("--out", path);
  return openPartFile("--out", path);
}

/** Begins what is written; nothing is left of it where that fails. */
async function orDiscard<T>(written: Pick<ExportSink, "discard">, begin: () => Promise<T>): Promise<T> {
  try {
    return await begin();
  } catch (error) {
    await written.discard();
    throw error;
  }
}

/** Lines on their way to a file or to standard output. */
interface Lines {
  write(lines: readonly string[]): Promise<void>;
  commit(): Promise<void>;
  discard(): Promise<void>;
}

async function openLines(path: string | undefined, terminal: Terminal): Promise<Lines> {
  if (path === undefined) {
    return {
      write: async (lines) => {
        for (const line of lines) await terminal.print(line);
      },
      commit: async () => {},
      discard: async () => {},
    };
  }
  const file = await beginFile(path);
  return { ...file, write: (lines) => file.append(lines.map((line) => `${line}\n`).join("")) };
}

/** Bytes of the header of a safetensors file: its numbers are known only at the end. */
const headerBytes = 4096;

/**
 * A safetensors file with `representations` [n, width] in F32, and beside it JSON lines with all else of the same records
 * in the same order.
 */
async function openTensorSink({ spaceId, expertName, width }: CatalogueSpace, path: string): Promise<ExportSink> {
  const recordsPath = toRecordsPath(path);
  const headerOf = (count: number): Uint8Array => {
    const header = {
      __metadata__: {
        format: "probestream-representations/1",
        ...{ space_id: spaceId, expert: expertName, records: basename(recordsPath) },
      },
      representations: { dtype: "F32", shape: [count, width], data_offsets: [0, 4 * count * width] },
    };
    return toHeader(JSON.stringify(header), path);
  };
  // Before the first row: a name that is too long must not end a long export.
  headerOf(Number.MAX_SAFE_INTEGER);
  const tensors = await beginFile(path);
  const records = await orDiscard(tensors, async () => {
    await tensors.append(new Uint8Array(headerBytes));
    return beginFile(recordsPath);
  });
  let count = 0;
  return {
    add: async (batch) => {
      count += batch.length;
      await tensors.append(Buffer.concat(batch.map(({ vector }) => float32Bytes(vector))));
      await records.append(batch.map((record) => `${JSON.stringify(withoutVector(record))}\n`).join(""));
    },
    finish: async () => {
      await tensors.overwriteStart(headerOf(count));
      await records.commit();
      await tensors.commit();
    },
    discard: async () => {
      await tensors.discard();
      await records.discard();
    },
  };
}

function withoutVector({ vector: _, spaceId: __, ...rest }: FullRecord): Omit<FullRecord, "vector" | "spaceId"> {
  return rest;
}

/** `zoo.safetensors` has its records in `zoo.records.jsonl`: an export of JSON lines may well be called `zoo.jsonl`. */
function toRecordsPath(path: string): string {
  const extension = extname(path);
  return `${extension === "" ? path : path.slice(0, -extension.length)}.records.jsonl`;
}

/** Length and text, filled up with spaces. */
function toHeader(text: string, path: string): Uint8Array {
  const header = new Uint8Array(headerBytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(headerBytes - 8), true);
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > headerBytes - 8) {
    const found = `its header, with the expert's name, would have ${bytes.length} bytes; ${headerBytes - 8} are allowed`;
    throw usageError(`"${path}" cannot be written as safetensors: ${found}; export with --format jsonl`);
  }
  header.set(bytes, 8);
  return header;
}
