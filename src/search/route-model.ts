import { InvalidInputError } from "../errors/probestream-error.js";
import type { Catalogue } from "../experts/catalogue.js";
import type { Expert } from "../experts/expert.js";
import { sliceColumns } from "../projection/slice-columns.js";
import { rowBytes, toStoredMatrix } from "../projection/stored-matrix.js";
import { judgeTrees } from "../trees/judge-trees.js";
import { toNearestMatch } from "../trees/nearest-match.js";
import { toCompleteBlocks } from "../trees/sketches/sketch.js";
import { openSketchKernel } from "../trees/sketches/sketch-kernel.js";
import type { CentredTree, Tree } from "../trees/tree.js";
import { readTree } from "../trees/tree-file.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { SelectedTensor, TensorInfo } from "../weights/layer.js";
import { quoteName } from "../weights/quote-name.js";
import type { LayerSketch } from "./layer-sketch.js";
import { type ModelManifest, planCandidates, type Selection, toRowsKey } from "./plan-embedding.js";
import { toLayerMatch } from "./target-choice.js";
import { createTargetGauges, type Gauge } from "./target-gauges.js";

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
  const open: Standing = { decision: "undecided", possible: all, matches: [] };
  // An expert that knows no tree serves whatever has its layer.
  if (candidates[0]?.tree === undefined) return { ...open, decision: candidates.length === 1 ? "routed" : "undecided" };
  if (prefixes.size === 0 || new Set(candidates.map(toRowsKey)).size > 1) return open;
  const targets = candidates.map(({ expert, selected, tree }) => {
    const uses = selected.map((one, tensorIndex) => ({ role: one.role, tensorIndex, matrix: toStoredMatrix(one) }));
    return { spaceId: expert.spaceId, treeKey: "", uses, tree };
  });
  // This runs on the event loop: moments of higher ranks are an upload's to compute, in a worker.
  const [down] = targets.flatMap(({ uses }) => uses.filter(({ role }) => role === "lora-down"));
  if ((down?.matrix.rowCount ?? 0) > mostRoutedRank) return open;
  const gauged = createTargetGauges(targets, await openSketchKernel());
  const [shared] = gauged;
  if (shared === undefined || gauged.length < candidates.length) return open;
  const rows = feed(shared.gauge, prefixes);
  if (rows === undefined) return open;
  const layer = shared.dense?.layer;
  if (layer === undefined || rows === layer.matrix.rowCount) {
    const matches = gauged.map(({ match }) => match());
    const { chosen } = toNearestMatch(matches);
    if (chosen === undefined) return { decision: "no-expert", possible: [], matches };
    return { decision: "routed", possible: [chosen], matches };
  }
  return (
    standByRows(
      layer,
      gauged.flatMap(({ dense }) => dense?.tree ?? []),
      rows,
    ) ?? open
  );
}

/** Judges candidates by the first rows of a dense layer; undefined where these are too few. */
function standByRows(
  { sketch, matrix }: LayerSketch,
  trees: readonly CentredTree[],
  rows: number,
): Standing | undefined {
  const blocks = toCompleteBlocks(sketch.edges, rows);
  if (blocks === 0) return undefined;
  const { standings, chosen, isForeign } = judgeTrees(sketch.values, blocks, trees);
  const factor = matrix.rowCount / (sketch.edges[blocks] as number);
  const matches = trees.map((tree, index) => toLayerMatch(tree, Math.sqrt((standings[index]?.squared ?? 0) * factor)));
  if (isForeign) return { decision: "no-expert", possible: [], matches };
  if (chosen !== undefined) return { decision: "routed", possible: [chosen], matches };
  return {
    decision: "undecided",
    possible: [...trees.keys()].filter((index) => standings[index]?.isPossible),
    matches,
  };
}

/** Hands a gauge what is known of its tensors; the whole rows of the last, or undefined if an earlier one is not whole. */
function feed({ uses, add }: Gauge, prefixes: RouteRequest["prefixes"]): number | undefined {
  let rows = 0;
  for (const { role, matrix } of uses) {
    const { name, dtype, rowCount, columnCount, columns } = matrix;
    const bytes = prefixes.get(name) ?? new Uint8Array(0);
    rows = Math.floor(bytes.byteLength / rowBytes(matrix));
    if (role !== "weight" && rows < rowCount) return undefined;
    if (rows === 0) continue;
    const block = {
      bytes: bytes.subarray(0, rows * rowBytes(matrix)),
      dtype,
      rowBegin: 0,
      rowCount: rows,
      columnCount,
    };
    add(role, sliceColumns(block, columns));
  }
  return rows;
}

function isFactor({ role }: Pick<SelectedTensor, "role">): boolean {
  return role === "lora-down" || role === "lora-up";
}
