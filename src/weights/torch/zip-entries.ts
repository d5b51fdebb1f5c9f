import type { Entry, RandomAccessReader } from "yauzl";
import {
  CorruptDataError,
  InvalidInputError,
  LimitExceededError,
  ProbestreamError,
} from "../../errors/probestream-error.js";
import type { ByteSource } from "../byte-source.js";

/** An entry of an archive, stored as it is, and where its bytes lie in the file. */
export interface ZipEntry {
  readonly begin: number;
  readonly end: number;
}

/** Entries of an archive at most: one for each tensor, and a few. */
const MAX_ENTRIES = 200_000;

/**
 * Lists the entries of a zip archive, by name, of which the wanted ones must be stored without compression.
 *
 * Memory: the archive's directory.
 *
 * @throws CorruptDataError `CORRUPT` for what is no archive any more, or has entries that are compressed or encrypted;
 * LimitExceededError `LIMIT_EXCEEDED` for more than 200,000; InvalidInputError `FORMAT_REFUSED` where the package yauzl is
 * not installed; and what the source throws.
 */
export async function readZipEntries(
  source: ByteSource,
  isWanted: (name: string) => boolean,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, ZipEntry>> {
  const yauzl = await loadYauzl(source.name);
  try {
    const archive = await yauzl.fromRandomAccessReaderPromise(createReader(yauzl, source, signal), source.size, {
      autoClose: false,
      lazyEntries: true,
    });
    if (archive.entryCount > MAX_ENTRIES) {
      const message = `"${source.name}" is an archive of ${archive.entryCount} entries; at most ${MAX_ENTRIES} are read.`;
      throw new LimitExceededError("LIMIT_EXCEEDED", message, { file: source.name, maxEntries: MAX_ENTRIES });
    }
    const entries = new Map<string, ZipEntry>();
    for await (const entry of archive.eachEntry()) {
      if (!isWanted(entry.fileName)) continue;
      assertStored(entry, source.name);
      const { fileDataStart } = await archive.readLocalFileHeaderPromise(entry, { minimal: true });
      const end = fileDataStart + entry.compressedSize;
      if (end > source.size) throw damaged(source.name, `entry "${entry.fileName}" goes past the end`);
      entries.set(entry.fileName, { begin: fileDataStart, end });
    }
    return entries;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ProbestreamError) throw error;
    throw damaged(source.name, error instanceof Error ? error.message : "it cannot be read");
  }
}

function assertStored(entry: Entry, file: string): void {
  const isStored = entry.compressionMethod === 0 && entry.compressedSize === entry.uncompressedSize;
  if (!isStored || entry.isEncrypted()) throw damaged(file, `entry "${entry.fileName}" is compressed or encrypted`);
}

function damaged(file: string, problem: string): CorruptDataError {
  const message = `"${file}" is not an archive as PyTorch writes them: ${problem.replace(/\.$/, "")}. Save or download it again.`;
  return new CorruptDataError("CORRUPT", message, { file });
}

/** Loaded when it is needed: the client's package can do without. */
async function loadYauzl(file: string): Promise<typeof import("yauzl")> {
  try {
    return await import("yauzl");
  } catch (cause) {
    const message = `"${file}" is a PyTorch checkpoint; to read one, install the package yauzl (npm install yauzl), or convert it to safetensors.`;
    throw new InvalidInputError("FORMAT_REFUSED", message, { file }, { cause });
  }
}

/** Lets the archive's reader read from a file or over HTTP. */
function createReader(
  yauzl: typeof import("yauzl"),
  source: ByteSource,
  signal: AbortSignal | undefined,
): RandomAccessReader {
  return new (class extends yauzl.RandomAccessReader {
    override read(
      buffer: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null) => void,
    ): void {
      source.read(position, position + length, signal).then(
        (bytes) => {
          buffer.set(bytes, offset);
          callback(null);
        },
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
      );
    }

    override close(callback: (error: Error | null) => void): void {
      callback(null);
    }
  })();
}
