import { basename, dirname, relative, resolve, sep } from "node:path";
import { isHttpUrl } from "../weights/http-url.js";
import { toDisplayLocation } from "../weights/to-display-location.js";
import { usageError } from "./exit-codes.js";
import type { Failure } from "./failures.js";
import { findLocations } from "./find-locations.js";
import { readTextFile } from "./text-file.js";

/** A model that is to be indexed. */
export interface IndexTarget {
  /** Path or URL. */
  readonly location: string;
  /** What it is called in the catalogue. */
  readonly id: string;
}

/** What the command line names. */
export interface TargetSources {
  /** Files, folders, URLs, and `@FILE` for a list of them. */
  readonly paths: readonly string[];
  /** A further list; `-` is standard input. */
  readonly list?: string | undefined;
  /** Put before every id. */
  readonly idPrefix?: string | undefined;
}

/**
 * Finds all models, and what each is to be called: below a folder its path from there, of a file its name, in a list what
 * stands there, of a URL the URL without its query.
 *
 * @throws CommandError if there is none, or if two models would be called the same.
 */
export async function findTargets(
  { paths, list, idPrefix = "" }: TargetSources,
  signal: AbortSignal,
): Promise<{ readonly targets: readonly IndexTarget[]; readonly failures: readonly Failure[] }> {
  const lists = [...paths.filter(isList).map((path) => path.slice(1)), ...(list === undefined ? [] : [list])];
  const given = paths.filter((path) => !isList(path));
  const listed = (await Promise.all(lists.map(readList))).flat();
  if (given.length + lists.length === 0) {
    throw usageError("nothing is to be indexed; give files, folders or URLs, or a list of them with --list");
  }
  const { locations, failures } = await findLocations([...given, ...listed], signal);
  // A file that is named itself is called by its name; in a list, as it stands there.
  const names = new Map([
    ...given.map((path) => [path, basename(path)] as const),
    ...listed.map((path) => [path, path] as const),
  ]);
  const roots = new Set([...given, ...listed].filter((path) => !isHttpUrl(path)).map((path) => resolve(path)));
  const targets = locations.map((location) => ({ location, id: idPrefix + toId(location, names, roots) }));
  assertDistinct(targets);
  return { targets, failures };
}

function isList(path: string): boolean {
  return path.length > 1 && path.startsWith("@");
}

async function readList(file: string): Promise<readonly string[]> {
  const lines = (await readTextFile("the list", file)).split(/\r?\n/).map((line) => line.trim());
  const named = lines.filter((line) => line !== "");
  if (named.length === 0) throw usageError(`the list ${file} names no model; it has one path or URL per line`);
  return named;
}

function toId(location: string, names: ReadonlyMap<string, string>, roots: ReadonlySet<string>): string {
  if (isHttpUrl(location)) return toDisplayLocation(location);
  const name = names.get(location);
  if (name !== undefined) return toSlashes(name);
  const path = resolve(location);
  let folder = dirname(path);
  while (!roots.has(folder) && dirname(folder) !== folder) folder = dirname(folder);
  return toSlashes(roots.has(folder) ? relative(folder, path) : basename(path));
}

/** Ids are the same wherever a folder was indexed. */
function toSlashes(path: string): string {
  return sep === "/" ? path : path.replaceAll(sep, "/");
}

function assertDistinct(targets: readonly IndexTarget[]): void {
  const seen = new Map<string, string>();
  for (const { id, location } of targets) {
    const other = seen.get(id);
    if (other !== undefined) {
      throw usageError(
        `${quote(other)} and ${quote(location)} would both be called ${JSON.stringify(id)}; give the folder that holds both, or index them one after another with --id-prefix`,
      );
    }
    seen.set(id, location);
  }
}

function quote(location: string): string {
  return JSON.stringify(toDisplayLocation(location));
}
