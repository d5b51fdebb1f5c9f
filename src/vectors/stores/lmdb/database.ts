import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { PreconditionError } from "../../../errors/probestream-error.js";
import { fileName, prepareFolder } from "./prepare-folder.js";
import { toStoreError } from "./to-store-error.js";

/** Keys are bytes, ordered as bytes; values are bytes. */
export type Table = Database<Buffer, Buffer>;

/**
 * The tables of a store. Numbers in keys are big-endian, so that they order; those in values little-endian.
 *
 * | table | key | value |
 * | --- | --- | --- |
 * | info | a name | see {@link infoKeys} |
 * | spaces | space id | JSON of a {@link StoredSpace} |
 * | records | space, id in UTF-8 | slot, then JSON of all but id and representation |
 * | vectors | space, slot | representation as it was given (float32), then the id in UTF-8 |
 * | free | space, slot | – (slots below the end that no record has) |
 * | weights | space, hash (32 bytes), id | – |
 * | fields | space, field, NUL, type | how many records have it (uint32) |
 * | changes | sequence number (uint64) | pairs of space and slot that changed (uint32 each) |
 */
export interface Tables {
  readonly info: Table;
  readonly spaces: Table;
  readonly records: Table;
  readonly vectors: Table;
  readonly free: Table;
  readonly weights: Table;
  readonly fields: Table;
  readonly changes: Table;
}

/** An open folder. */
export interface StoreDatabase {
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly tables: Tables;
}

/** Keys of the table `info`. */
export const infoKeys = {
  /** Version of this layout, in decimal digits. */
  format: Buffer.from("format"),
  /** Number of the last change (uint64). */
  sequence: Buffer.from("sequence"),
  /** Pairs in the table `changes` (uint64). */
  logged: Buffer.from("logged"),
  /** Number that the next space gets (uint32); none is given twice. */
  nextSpace: Buffer.from("next-space"),
} as const;

/** Version of this layout. */
const formatVersion = "1";

const tableNames: readonly (keyof Tables)[] = [
  "info",
  "spaces",
  "records",
  "vectors",
  "free",
  "weights",
  "fields",
  "changes",
];

const encodings = { keyEncoding: "binary", encoding: "binary" } as const;

/**
 * Opens a folder's database, and makes it if it is not there. Threads of one process share what they open, and so do
 * processes; lmdb lets one of them write at a time.
 *
 * Pages are 8 KiB: with them a key may have 4,026 bytes, and an id of 1,024 UTF-16 units, 3,072 bytes, is one as it is. A
 * transaction is committed when it is on the disk (`overlappingSync` would show it to others before).
 *
 * @throws PreconditionError `FORMAT_REFUSED` for a folder of another version or another program; what
 * {@link toStoreError} makes of the rest.
 */
export function openDatabase(folder: string): StoreDatabase {
  let root: RootDatabase<Buffer, Buffer> | undefined;
  try {
    prepareFolder(folder);
    root = open<Buffer, Buffer>({
      path: join(folder, fileName),
      noSubdir: true,
      pageSize: 8192,
      maxDbs: tableNames.length,
      overlappingSync: false,
      ...encodings,
    });
    assertOurs(root, folder);
    const opened = root;
    const tables = Object.fromEntries(tableNames.map((name) => [name, opened.openDB(name, encodings)]));
    const database = { root, tables: tables as unknown as Tables };
    assertFormat(database, folder);
    return database;
  } catch (error) {
    void root?.close();
    throw toStoreError(error, folder);
  }
}

/** Asserts that a database is empty or has our tables. */
function assertOurs(root: RootDatabase<Buffer, Buffer>, folder: string): void {
  // Names of tables end with NUL.
  const names = [...root.getKeys({ limit: 100 })].map((name) => name.toString().replace(/\0$/, ""));
  if (names.length === 0 || names.includes("info")) return;
  const message = `"${folder}" holds an lmdb database of another program; choose another folder`;
  throw new PreconditionError("FORMAT_REFUSED", message, { folder });
}

function assertFormat({ root, tables }: StoreDatabase, folder: string): void {
  const read = (): string | undefined => tables.info.getBinary(infoKeys.format)?.toString();
  const found = read() ?? root.transactionSync(() => read() ?? putFormat(tables));
  if (found === formatVersion) return;
  const message = `"${folder}" holds a catalogue of format ${found}; this version reads format ${formatVersion}: export it with the version that wrote it, and import it here`;
  throw new PreconditionError("FORMAT_REFUSED", message, { folder, found, expected: formatVersion });
}

function putFormat({ info }: Tables): string {
  info.putSync(infoKeys.format, Buffer.from(formatVersion));
  return formatVersion;
}
