import { basename, dirname, relative, sep } from "node:path";
import { toProbestreamError } from "../../errors/plain-error.js";
import { InvalidInputError } from "../../errors/probestream-error.js";
import { findModels } from "../../weights/find-models.js";
import { mapConcurrently } from "../../weights/map-concurrently.js";
import { openModel } from "../../weights/model-file.js";
import type { Split } from "./layer-set.js";
import { makeSplits, type SplitShares } from "./make-splits.js";
import { parseLabels } from "./parse-labels.js";

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

/** What a folder holds. */
export interface Dataset {
  readonly models: readonly DatasetModel[];
  readonly refused: readonly { readonly path: string; readonly reason: string }[];
  /** Whether all models said their split, or it was drawn by lot. */
  readonly splitSource: "files" | "made";
}

/** Options of {@link scanDataset}. */
export interface ScanOptions {
  /** Metadata key that holds the labels. */
  readonly labelKey: string;
  /** Between the labels of a model that has several; lists in brackets need none. */
  readonly separator?: string;
  /** Metadata key that holds the split. Default `split`; files without it are asked for their folder's name. */
  readonly splitKey?: string;
  /** Draws splits where files say none. Default 0. */
  readonly seed?: number;
  readonly shares?: SplitShares;
  /** Whether splits that are made hold labels out. Default true; otherwise models are drawn alike, whatever they have. */
  readonly holdsOut?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

/** Headers read at a time. */
const headersAtOnce = 16;
/** Models that are looked at before the next are sought. */
const modelsAtOnce = 1024;

type Known = Omit<DatasetModel, "split"> & { readonly split: Split | undefined };
type Looked = (Known & { readonly reason?: never }) | { readonly path: string; readonly reason: string };

const splits: readonly Split[] = ["train", "val", "test", "val_holdout", "test_holdout"];

/**
 * Finds the models of a folder and what their headers say of them; no weights are read. What cannot be used is named with
 * its reason. If any usable model says no split, all splits are made.
 *
 * Memory: path, labels and split of each model.
 *
 * @throws NotFoundError `FILE_NOT_FOUND` if there is no such folder.
 */
export async function scanDataset(folder: string, options: ScanOptions): Promise<Dataset> {
  const { seed = 0, shares = {}, holdsOut = true, signal, onProgress } = options;
  const found: Known[] = [];
  const refused: { path: string; reason: string }[] = [];
  const look = async (locations: readonly string[]): Promise<void> => {
    const described = await mapConcurrently(locations, headersAtOnce, async (location): Promise<Looked> => {
      signal?.throwIfAborted();
      const path = relative(folder, location).split(sep).join("/") || basename(location);
      try {
        return { path, location, ...(await readKnown(location, path, options)) };
      } catch (error) {
        signal?.throwIfAborted();
        return { path, reason: toProbestreamError(error).message };
      }
    });
    for (const model of described) {
      if (typeof model.reason === "string") refused.push({ path: model.path, reason: model.reason });
      else found.push(model);
    }
    onProgress?.(found.length + refused.length);
  };
  let waiting: string[] = [];
  const onUnreadable = (path: string, error: Error): void => {
    if (path === folder) throw error;
    refused.push({ path: relative(folder, path), reason: error.message });
  };
  for await (const location of findModels([folder], { signal, onUnreadable })) {
    waiting.push(location);
    if (waiting.length < modelsAtOnce) continue;
    await look(waiting);
    waiting = [];
  }
  await look(waiting);
  if (found.every(({ split }) => split !== undefined)) {
    return { models: found as DatasetModel[], refused, splitSource: "files" };
  }
  const made = makeSplits(
    found.map(({ path, labels }) => ({ path, label: holdsOut ? (labels[0] ?? "") : "" })),
    seed,
    holdsOut ? shares : { ...shares, heldOutLabels: 0 },
  );
  const models = found.map((model, index) => ({ ...model, split: made[index] ?? "train" }));
  return { models, refused, splitSource: "made" };
}

async function readKnown(
  location: string,
  path: string,
  { labelKey, separator, splitKey = "split", signal }: ScanOptions,
): Promise<Pick<DatasetModel, "labels"> & { split: Split | undefined }> {
  const model = await openModel(location, { signal });
  try {
    const text = model.metadata.get(labelKey);
    if (text === undefined) {
      const keys = [...model.metadata.keys()].slice(0, 8).join(", ") || "no keys";
      throw new InvalidInputError("FIELD_INVALID", `its metadata has no "${labelKey}"; it has ${keys}`);
    }
    const labels = parseLabels(text, separator);
    if (labels.length === 0) throw new InvalidInputError("FIELD_INVALID", `its "${labelKey}" is empty`);
    return { labels, split: toSplit(model.metadata.get(splitKey)) ?? toFolderSplit(path) };
  } finally {
    await model.close();
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

function toSplit(name: string | undefined): Split | undefined {
  return splits.find((split) => split === name);
}
