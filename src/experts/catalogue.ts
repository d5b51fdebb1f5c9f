import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { listSome } from "../errors/list-some.js";
import { NotFoundError, PreconditionError, ProbestreamError } from "../errors/probestream-error.js";
import { exists } from "../system/exists.js";
import { describeExpert, type Expert, manifestName, readExpertManifest } from "./expert.js";

/** A folder of the catalogue that holds no usable expert. */
export interface UnusableExpert {
  readonly name: string;
  readonly error: unknown;
}

/** A folder of expert folders, or a single expert folder. */
export interface Catalogue {
  /** All experts, ordered by name, as the folder is now. */
  list(): Promise<{ readonly experts: readonly Expert[]; readonly unusable: readonly UnusableExpert[] }>;
  /** Experts as of at most {@link freshForMs} ago: for hot paths. */
  recent(): Promise<readonly Expert[]>;
  /**
   * Finds an expert by space id, by an unambiguous prefix of it (8 digits or more), or by name.
   *
   * @throws NotFoundError `EXPERT_NOT_FOUND`
   * @throws PreconditionError `EXPERT_AMBIGUOUS` if the word fits several.
   */
  get(reference: string): Promise<Expert>;
}

/** How old a look at the folder may be where it is needed often, in milliseconds. */
export const freshForMs = 1000;

interface Entry {
  readonly version: Version;
  readonly outcome: Expert | UnusableExpert;
}

/**
 * Opens a catalogue. Folders are looked at again when asked, so that adding an expert needs no restart; one that did
 * not change is not read twice. A folder being copied in is unusable until it is complete.
 */
export function openCatalogue(folder: string): Catalogue {
  const root = resolve(folder);
  const entries = new Map<string, Entry>();
  let scanned: { at: number; experts: readonly Expert[]; unusable: readonly UnusableExpert[] } | undefined;
  let scanning: Promise<void> | undefined;

  const scan = (): Promise<void> => {
    scanning ??= look().finally(() => {
      scanning = undefined;
    });
    return scanning;
  };

  const look = async (): Promise<void> => {
    const names = await expertFolders(root);
    for (const path of entries.keys()) if (!names.includes(path)) entries.delete(path);
    for (const path of names) {
      const known = entries.get(path)?.version;
      const version = await versionOf(path, known);
      if (known?.text !== version.text || isPassing(entries.get(path)?.outcome))
        entries.set(path, { version, outcome: await describe(path) });
    }
    const outcomes = names.flatMap((path) => entries.get(path)?.outcome ?? []);
    scanned = {
      at: performance.now(),
      experts: outcomes.filter(isExpert).sort(byName),
      unusable: outcomes.filter((outcome): outcome is UnusableExpert => !isExpert(outcome)),
    };
  };

  const list = async (): Promise<{ experts: readonly Expert[]; unusable: readonly UnusableExpert[] }> => {
    await scan();
    return scanned ?? { experts: [], unusable: [] };
  };

  const recent = async (): Promise<readonly Expert[]> => {
    if (scanned === undefined || performance.now() - scanned.at > freshForMs) await scan();
    return scanned?.experts ?? [];
  };

  return {
    list,
    recent,
    get: async (reference) => {
      const found = findExpert(await recent(), reference) ?? findExpert((await list()).experts, reference);
      if (found !== undefined) return found;
      throw expertNotFound(reference, "in the catalogue; it has", scanned?.experts ?? []);
    },
  };
}

/** Most names that an error lists. */
const maxListed = 10;

/** The error for a reference to none of `experts`, with their names; `where` says between the two what has them. */
export function expertNotFound(
  reference: string,
  where: string,
  experts: readonly Pick<Expert, "name">[],
): NotFoundError {
  const names = experts.map(({ name }) => name);
  const message = `no expert "${reference}" ${where} ${listSome(names, maxListed)}`;
  return new NotFoundError("EXPERT_NOT_FOUND", message, { expert: reference });
}

/**
 * The one expert that a space id, a prefix of one, or a name means.
 *
 * @throws PreconditionError `EXPERT_AMBIGUOUS` if the word fits several.
 */
export function findExpert<E extends Pick<Expert, "name" | "spaceId">>(
  experts: readonly E[],
  reference: string,
): E | undefined {
  const isPrefix = isSpaceIdPrefix(reference);
  const found = experts.filter(
    ({ name, spaceId }) => name === reference || (isPrefix && spaceId.startsWith(reference)),
  );
  const [first] = found;
  if (first === undefined || found.every(({ spaceId }) => spaceId === first.spaceId)) return first;
  throw new PreconditionError(
    "EXPERT_AMBIGUOUS",
    `"${reference}" fits ${found.length} experts: ${found.map(toLabel).join(", ")}; name one by its space id`,
    { expert: reference, candidates: found.map(({ spaceId }) => spaceId).join(" ") },
  );
}

/** Whether a word may stand for a space id: 8 of its digits or more. */
export function isSpaceIdPrefix(reference: string): boolean {
  return /^[0-9a-f]{8,64}$/.test(reference);
}

/** Name and short space id, for messages. */
export function toLabel({ name, spaceId }: Pick<Expert, "name" | "spaceId">): string {
  return `${name} (${spaceId.slice(0, 12)})`;
}

async function expertFolders(root: string): Promise<string[]> {
  if (await exists(join(root, manifestName))) return [root];
  const children = await readdir(root, { withFileTypes: true }).catch((cause: unknown) => {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    const what = code === "ENOENT" ? "does not exist" : `cannot be read (${code})`;
    const message = `the expert folder ${root} ${what}; give --experts DIR`;
    throw new NotFoundError("EXPERT_NOT_FOUND", message, { folder: root, code }, { cause });
  });
  const folders = children.filter((child) => !child.name.startsWith(".")).map((child) => join(root, child.name));
  const withManifest = await Promise.all(folders.map((path) => exists(join(path, manifestName))));
  return folders.filter((_, index) => withManifest[index]).sort();
}

/** Of a folder: its text changes whenever manifest or weights do. */
interface Version {
  readonly manifest: string;
  /** File of the weights, as the manifest names it. */
  readonly weights: string;
  readonly text: string;
}

/** The version of a folder; its manifest is read only if it has changed since it was `known`. */
async function versionOf(folder: string, known: Version | undefined): Promise<Version> {
  const stamp = async (path: string): Promise<string> => {
    const stats = await stat(path).catch(() => undefined);
    return stats === undefined ? "absent" : `${stats.ino}:${stats.size}:${stats.mtimeMs}`;
  };
  const manifest = await stamp(join(folder, manifestName));
  const weights =
    known?.manifest === manifest
      ? known.weights
      : await readExpertManifest(folder).then(
          (read) => read.weights,
          () => manifestName,
        );
  return { manifest, weights, text: `${manifest} ${await stamp(join(folder, weights))}` };
}

async function describe(path: string): Promise<Expert | UnusableExpert> {
  try {
    return await describeExpert(path);
  } catch (error) {
    return { name: basename(path), error };
  }
}

/** Whether a folder could not be read for a reason that may pass without a change of it: rights, or the disk. */
function isPassing(outcome: Expert | UnusableExpert | undefined): boolean {
  if (outcome === undefined || isExpert(outcome)) return false;
  const { error } = outcome;
  return !(error instanceof ProbestreamError) || error.kind === "access-denied" || error.kind === "unavailable";
}

function isExpert(outcome: Expert | UnusableExpert): outcome is Expert {
  return "spaceId" in outcome;
}

function byName(a: Expert, b: Expert): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : a.spaceId < b.spaceId ? -1 : 1;
}
