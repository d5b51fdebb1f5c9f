import { basename, dirname, relative, sep } from "node:path";
import { toProbestreamError } from "../../errors/plain-error.js";
import { findModels } from "../../weights/find-models.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import { openModel } from "../../weights/model-file.js";
import type { LabelFile } from "./label-file.js";
import type { Split } from "./layer-set.js";
import { makeSplits, type SplitShares } from "./make-splits.js";
import { type MatchedRows, type ModelRow, matchLabelRows, type RowProblem } from "./match-label-rows.js";
import { parseHeaderLabels } from "./parse-header-labels.js";
import { toSplit } from "./split-names.js";

/** A model that something is known about. */
export interface DatasetModel {
  /** Below the dataset's folder, with `/` between folders. */
  readonly path: string;
  /** What `openModel` takes. */
  readonly location: string;
  /** One, several, or one free text. */
  readonly labels: readonly string[];
  readonly split: Split;
}

/** Why nothing can be learnt of a model. */
export type RefusalKind = "unreadable" | "no-label" | "unknown-split" | "contradiction" | "no-row";

/** A model, or a folder, that cannot be used. */
export interface RefusedModel {
  /** Below the dataset's folder. */
  readonly path: string;
  readonly kind: RefusalKind;
  readonly reason: string;
}

/** What a folder holds. */
export interface Dataset {
  readonly models: readonly DatasetModel[];
  readonly refused: readonly RefusedModel[];
  /** Lines of the label file that say nothing, or nothing new, of a model of the folder; none without such a file. */
  readonly rowProblems: readonly RowProblem[];
  /** Whether all models said their split, or it was drawn by lot. */
  readonly splitSource: "files" | "made";
  /** How many of the models said their split. */
  readonly splitsFound: number;
}

/** Where labels come from: the headers, or a file beside them that `readLabelFile` read. */
export type LabelSource =
  | {
      /** Metadata key that holds the labels. */
      readonly labelKey: string;
      /** Between the labels of a model that has several; lists in brackets need none. */
      readonly separator?: string;
    }
  | { readonly labelFile: LabelFile };

/** Options of {@link scanDataset}. */
export type ScanOptions = LabelSource & {
  /** Metadata key that holds the split. Default `split`; files without it are asked for their folder's name. */
  readonly splitKey?: string;
  /** Draws splits where files say none. Default 0. */
  readonly seed?: number;
  readonly shares?: SplitShares;
  /** Whether splits that are made hold labels out. Default true; otherwise models are drawn alike, whatever they have. */
  readonly holdsOut?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
};

/** Headers read at a time. */
const headersAtOnce = 16;

type Known = Omit<DatasetModel, "split"> & { readonly split: Split | undefined };

/**
 * Finds the models of a folder and what their headers, or a label file, say of them; no weights are read. What cannot be
 * used is named with its reason. A row's split comes before the header's, and that before the folder's name; if any
 * usable model has none, all splits are made.
 *
 * Memory: path, labels and split of each model.
 *
 * @throws NotFoundError `FILE_NOT_FOUND` if there is no such folder.
 */
export async function scanDataset(folder: string, options: ScanOptions): Promise<Dataset> {
  const { seed = 0, shares = {}, holdsOut = true, signal, onProgress } = options;
  const refused: RefusedModel[] = [];
  const locations: string[] = [];
  const onUnreadable = (path: string, error: Error): void => {
    if (path === folder) throw error;
    refused.push({ path: relative(folder, path), kind: "unreadable", reason: error.message });
  };
  for await (const location of findModels([folder], { signal, onUnreadable })) locations.push(location);
  const matched = "labelFile" in options ? matchLabelRows(options.labelFile, folder, locations) : undefined;
  let done = refused.length;
  const looked = await mapConcurrently(locations, headersAtOnce, async (location): Promise<Known | RefusedModel> => {
    signal?.throwIfAborted();
    const path = relative(folder, location).split(sep).join("/") || basename(location);
    const model = await look(location, path, options, matched);
    onProgress?.(++done);
    return model;
  });
  const found: Known[] = [];
  for (const model of looked) {
    if ("kind" in model) refused.push(model);
    else found.push(model);
  }
  const rowProblems = matched?.problems ?? [];
  const splitsFound = found.filter(({ split }) => split !== undefined).length;
  if (splitsFound === found.length) {
    return { models: found as DatasetModel[], refused, rowProblems, splitSource: "files", splitsFound };
  }
  const made = makeSplits(
    found.map(({ path, labels }) => ({ path, label: holdsOut ? (labels[0] ?? "") : "" })),
    seed,
    holdsOut ? shares : { ...shares, heldOutLabels: 0 },
  );
  const models = found.map((model, index) => ({ ...model, split: made[index] ?? "train" }));
  return { models, refused, rowProblems, splitSource: "made", splitsFound };
}

async function look(
  location: string,
  path: string,
  options: ScanOptions,
  matched: MatchedRows | undefined,
): Promise<Known | RefusedModel> {
  let metadata: ReadonlyMap<string, string>;
  try {
    const model = await openModel(location, { signal: options.signal });
    metadata = model.metadata;
    await model.close();
  } catch (error) {
    options.signal?.throwIfAborted();
    return { path, kind: "unreadable", reason: toProbestreamError(error).message };
  }
  const row = matched === undefined ? toHeaderRow(metadata, options) : matched.rows.get(location);
  if (row === undefined) return { path, kind: "no-row", reason: "no row names it" };
  if (!("labels" in row)) return { path, ...row };
  const split = row.split ?? toSplit(metadata.get(options.splitKey ?? "split")) ?? toFolderSplit(path);
  return { path, location, labels: row.labels, split };
}

/** What a header says, as a row would. */
function toHeaderRow(metadata: ReadonlyMap<string, string>, options: ScanOptions): ModelRow | undefined {
  if (!("labelKey" in options)) return undefined;
  const { labelKey, separator } = options;
  const text = metadata.get(labelKey);
  if (text === undefined) {
    const keys = [...metadata.keys()].slice(0, 8).join(", ") || "no keys";
    return { kind: "no-label", reason: `its metadata has no "${labelKey}"; it has ${keys}` };
  }
  try {
    const labels = parseHeaderLabels(labelKey, text, separator);
    if (labels.length > 0) return { labels, split: undefined };
    return { kind: "no-label", reason: `its "${labelKey}" is empty` };
  } catch (error) {
    return { kind: "no-label", reason: toProbestreamError(error).message };
  }
}

/** The split that one of the folders above a model is called. */
function toFolderSplit(path: string): Split | undefined {
  for (let folder = dirname(path); folder !== "."; folder = dirname(folder)) {
    const split = toSplit(basename(folder));
    if (split !== undefined) return split;
  }
  return undefined;
}
