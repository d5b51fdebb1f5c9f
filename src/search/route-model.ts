import { InvalidInputError } from "../errors/probestream-error.js";
import type { Catalogue } from "../experts/catalogue.js";
import type { Expert } from "../experts/expert.js";
import { sliceColumns } from "../projection/slice-columns.js";
import { rangeBytes, rowBytes, toStoredMatrix } from "../projection/stored-matrix.js";
import { judgeTrees } from "../trees/judge-trees.js";
import { toCompleteBlocks } from "../trees/sketches/sketch.js";
import { openSketchKernel } from "../trees/sketches/sketch-kernel.js";
import { type Tree, toRadius } from "../trees/tree.js";
import { readTree } from "../trees/tree-file.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { SelectedTensor, TensorInfo } from "../weights/layer.js";
import { quoteName } from "../weights/quote-name.js";
import { createLayerSketch, type LayerSketch } from "./layer-sketch.js";
import { type ModelManifest, planCandidates, type Selection, toRowsKey } from "./plan-embedding.js";
import { createTargetGauges } from "./target-gauges.js";

/** A model that is to be routed, and the beginnings of its tensors as far as they are known. */
export interface RouteRequest extends Pick<ModelManifest, "tensors" | "experts"> {
  readonly metadata: ReadonlyMap<string, string>;
  /** What the caller believes of its base and tree. */
  readonly hints: readonly string[];
  /** By tensor, bytes from the beginning of the range that is wanted. */
  readonly prefixes: ReadonlyMap<string, Uint8Array>;
}

/** An expert whose layer the model has. */
export interface RouteCandidate {
  readonly spaceId: string;
  readonly expertName: string;
  /** Estimated for the whole layer from the rows that are known; absent where none are. */
  readonly tree?: TreeMatch;
  /** Whether it can still be the one. */
  readonly isPossible: boolean;
  /** Metadata or hints name its tree: a claim, which decides nothing. */
  readonly isClaimed: boolean;
}

/** Where a model belongs, as far as that can be told. */
export interface RouteAnswer {
  readonly decision: "routed" | "undecided" | "no-expert";
  /** Those that can still be the one first, the nearest first among them. */
  readonly candidates: readonly RouteCandidate[];
  /** What to send beginnings of, of LoRA layers both factors whole; nothing where only whole representations tell. */
  readonly tensors: readonly { readonly tensor: TensorInfo; readonly beginByte: number; readonly endByte: number }[];
  /** Bytes of the last tensor that nearly always decide; of the others all are wanted. */
  readonly prefixBytes: number;
}

/** Share of a layer that nearly always decides. */
const decisiveShare = 0.05;

/** Rank of LoRA layers that are routed without an upload; 64 on 4,096 takes some 15 ms. */
const mostRoutedRank = 64;

/** Trees of experts, read once. */
const trees = new WeakMap<Expert, Promise<Tree | undefined>>();

function treeOf(expert: Expert): Promise<Tree | undefined> {
  const known = trees.get(expert);
  if (known !== undefined) return known;
  const reading = readTree(expert.folder, expert.extra);
  trees.set(expert, reading);
  // What failed once may be there the next time.
  reading.catch(() => trees.delete(expert));
  return reading;
}

/**
 * Says which expert would serve a model, from its manifest, and from the first rows of its layer where they are given.
 *
 * @throws NotFoundError `LAYER_NOT_FOUND` if no expert's layer is there; InvalidInputError `TENSOR_OVERRUN` for a prefix
 * that is longer than its range, `FIELD_INVALID` for one of a tensor that is not wanted.
 */
export async function routeModel(request: RouteRequest, catalogue: Catalogue): Promise<RouteAnswer> {
  const selections = await planCandidates(request, catalogue);
  const known = await Promise.all(selections.map(async (one) => ({ ...one, tree: await treeOf(one.expert) })));
  assertPrefixes(selections[0].selected, request.prefixes);
  const claims = [...request.hints, ...request.metadata.values()].map((claim) => claim.toLowerCase());
  const standing = await stand(known, request.prefixes);
  const candidates = known.map(({ expert, tree }, index): RouteCandidate => {
    const match = standing.matches[index];
    const { spaceId, name } = expert;
    const isClaimed = tree !== undefined && claims.includes(tree.name.toLowerCase());
    return {
      spaceId,
      expertName: name,
      ...(match !== undefined && { tree: match }),
      isPossible: standing.possible.includes(index),
      isClaimed,
    };
  });
  candidates.sort(
    (a, b) => Number(b.isPossible) - Number(a.isPossible) || (a.tree?.distance ?? 0) - (b.tree?.distance ?? 0),
  );
  const { tree, selected } = known[0] ?? {};
  const wanted =
    tree?.centroid !== undefined ? selected : tree?.moments !== undefined ? selected?.filter(isFactor) : undefined;
  const last = wanted?.at(-1);
  const matrix = last && toStoredMatrix(last);
  return {
    decision: standing.decision,
    candidates,
    tensors: wanted ?? [],
    // Whole rows, so that nothing is sent for nothing; of LoRA factors all.
    prefixBytes:
      matrix === undefined
        ? 0
        : Math.ceil((tree?.centroid === undefined ? 1 : decisiveShare) * matrix.rowCount) * rowBytes(matrix),
  };
}

/** Prefixes are of tensors that are wanted, and no longer than these. */
function assertPrefixes(selected: readonly SelectedTensor[], prefixes: RouteRequest["prefixes"]): void {
  for (const [name, { byteLength }] of prefixes) {
    const wanted = selected.find(({ tensor }) => tensor.name === name);
    if (wanted === undefined) {
      const names = selected.map(({ tensor }) => quoteName(tensor.name)).join(", ");
      const message = `a prefix is of ${quoteName(name)}, which is not wanted; wanted are ${names}`;
      throw new InvalidInputError("FIELD_INVALID", message, { tensor: name });
    }
    const length = wanted.endByte - wanted.beginByte;
    if (byteLength <= length) continue;
    const message = `the prefix of ${quoteName(name)} has ${byteLength} bytes, its range ${length}`;
    throw new InvalidInputError("TENSOR_OVERRUN", message, { tensor: name, found: byteLength });
  }
}

interface Standing {
  readonly decision: RouteAnswer["decision"];
  /** Places of the candidates that can still be the one. */
  readonly possible: readonly number[];
  readonly matches: readonly (TreeMatch | undefined)[];
}

type Candidate = Selection & { readonly tree: Tree | undefined };

/** Judges candidates that read the same rows by those that are known. */
async function stand(candidates: readonly Candidate[], prefixes: RouteRequest["prefixes"]): Promise<Standing> {
  const all = [...candidates.keys()];
  const [first, ...others] = candidates;
  // An expert that knows no tree serves whatever has its layer.
  if (first?.tree === undefined)
    return { decision: others.length === 0 ? "routed" : "undecided", possible: all, matches: [] };
  if (first.tree.moments !== undefined) return standByMoments(candidates, prefixes);
  const rowsRead = new Set(candidates.map(toRowsKey));
  const layer = rowsRead.size > 1 ? undefined : await sketchPrefixes(first.selected, prefixes);
  const centroids = candidates.flatMap(({ tree }) => tree?.centroid ?? []);
  if (layer === undefined || centroids.length < candidates.length)
    return { decision: "undecided", possible: all, matches: [] };
  const { sketch, matrix, rows } = layer;
  const blocks = toCompleteBlocks(sketch.edges, rows);
  if (blocks === 0) return { decision: "undecided", possible: all, matches: [] };
  const judgement = judgeTrees(sketch.values, blocks, centroids);
  const factor = matrix.rowCount / (sketch.edges[blocks] as number);
  const matches = judgement.standings.map(({ squared }, index): TreeMatch | undefined => {
    const [tree, centroid] = [candidates[index]?.tree, centroids[index]];
    if (tree === undefined || centroid === undefined) return undefined;
    const [distance, radius] = [Math.sqrt(squared * factor), toRadius(centroid)];
    const { name, parent } = tree;
    return {
      tree: name,
      ...(parent !== undefined && { parent }),
      basis: "layer",
      distance,
      radius,
      isAccepted: distance <= radius,
    };
  });
  const isWhole = rows === matrix.rowCount;
  if (judgement.isForeign || (isWhole && matches.every((match) => match?.isAccepted !== true))) {
    return { decision: "no-expert", possible: [], matches };
  }
  const accepted = all.filter((index) => matches[index]?.isAccepted);
  const nearest = accepted.sort((a, b) => (matches[a]?.distance ?? 0) - (matches[b]?.distance ?? 0))[0];
  const chosen = isWhole ? nearest : judgement.chosen;
  if (chosen !== undefined) return { decision: "routed", possible: [chosen], matches };
  return { decision: "undecided", possible: all.filter((index) => judgement.standings[index]?.isPossible), matches };
}

/** Judges candidates that read the same LoRA factors, if both are there. */
async function standByMoments(candidates: readonly Candidate[], prefixes: RouteRequest["prefixes"]): Promise<Standing> {
  const all = [...candidates.keys()];
  const open: Standing = { decision: "undecided", possible: all, matches: [] };
  const targets = candidates.map(({ expert, selected, tree }) => {
    const uses = selected.map((one, tensorIndex) => ({ role: one.role, tensorIndex, matrix: toStoredMatrix(one) }));
    return { spaceId: expert.spaceId, treeKey: "", uses, tree };
  });
  // This runs on the event loop: moments of higher ranks are an upload's to compute, in a worker.
  const [down] = targets.flatMap(({ uses }) => uses.filter(({ role }) => role === "lora-down"));
  if ((down?.matrix.rowCount ?? 0) > mostRoutedRank) return open;
  const gauged = createTargetGauges(targets, await openSketchKernel());
  if (gauged.length < candidates.length || new Set(gauged.map(({ gauge }) => gauge)).size > 1) return open;
  const [shared] = gauged;
  for (const { role, matrix } of shared?.gauge.uses ?? []) {
    const bytes = prefixes.get(matrix.name);
    if (bytes?.byteLength !== rangeBytes(matrix)) return open;
    const { dtype, rowCount, columnCount } = matrix;
    shared?.gauge.add(role, { bytes, dtype, rowBegin: 0, rowCount, columnCount });
  }
  const matches = gauged.map(({ match }) => match());
  const byDistance = (a: number, b: number): number => (matches[a]?.distance ?? 0) - (matches[b]?.distance ?? 0);
  const nearest = all.filter((index) => matches[index]?.isAccepted).sort(byDistance)[0];
  return {
    decision: nearest === undefined ? "no-expert" : "routed",
    possible: nearest === undefined ? [] : [nearest],
    matches,
  };
}

function isFactor({ role }: Pick<SelectedTensor, "role">): boolean {
  return role === "lora-down" || role === "lora-up";
}

/** The sketch of the rows that are known; undefined of LoRA layers and where nothing is known. */
async function sketchPrefixes(
  selected: readonly SelectedTensor[],
  prefixes: RouteRequest["prefixes"],
): Promise<(Pick<LayerSketch, "sketch" | "matrix"> & { readonly rows: number }) | undefined> {
  const whole = selected.map((one) => ({ ...one, matrix: toStoredMatrix(one) }));
  const layer = createLayerSketch(
    await openSketchKernel(),
    Object.fromEntries(whole.map(({ role, matrix }) => [role, matrix])),
  );
  if (layer === undefined || prefixes.size === 0) return undefined;
  let rows = 0;
  for (const { role, tensor, matrix } of whole) {
    const bytes = prefixes.get(tensor.name) ?? new Uint8Array(0);
    rows = Math.floor(bytes.byteLength / rowBytes(matrix));
    // A scale that is not whole leaves nothing to compare.
    if (role !== "weight" && rows < matrix.rowCount) return undefined;
    const { dtype, columnCount, columns } = matrix;
    const block = {
      bytes: bytes.subarray(0, rows * rowBytes(matrix)),
      dtype,
      rowBegin: 0,
      rowCount: rows,
      columnCount,
    };
    if (rows > 0) layer.add(role, sliceColumns(block, columns));
  }
  return { sketch: layer.sketch, matrix: layer.matrix, rows };
}
