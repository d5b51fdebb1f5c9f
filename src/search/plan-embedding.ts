import { createHash } from "node:crypto";
import { fromPlainError, toPlainError } from "../errors/plain-error.js";
import {
  InvalidInputError,
  LimitExceededError,
  NotFoundError,
  PreconditionError,
  ProbestreamError,
} from "../errors/probestream-error.js";
import { type Catalogue, toLabel } from "../experts/catalogue.js";
import type { Expert } from "../experts/expert.js";
import { rangeBytes, type StoredMatrix, toStoredMatrix } from "../projection/stored-matrix.js";
import { parseTreeName } from "../trees/tree-file.js";
import type { LayerSpec, SelectedTensor, TensorInfo, TensorRole } from "../weights/layer.js";
import { selectLayer } from "../weights/select-layer.js";

/** What is known of a model before its weights come. */
export interface ModelManifest {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Experts wanted, by name or space id; empty where those that fit are candidates. */
  readonly experts: readonly string[];
  /** Whether the named experts are candidates, of which the weights choose one; otherwise all of them serve. */
  readonly isRouted?: boolean;
}

/** A byte range of one tensor that is to be streamed. */
export interface PlannedTensor {
  readonly tensor: SelectedTensor["tensor"];
  readonly beginByte: number;
  readonly endByte: number;
  /** The range as rows. */
  readonly matrix: StoredMatrix;
}

/** One expert, and what it reads of which streamed tensor. */
export interface PlannedTarget {
  readonly expert: Expert;
  readonly uses: readonly TensorUse[];
}

/** What a streamed tensor is to an expert. */
export interface TensorUse {
  readonly role: TensorRole;
  readonly tensorIndex: number;
  /** The tensor with the columns that this expert reads. */
  readonly matrix: StoredMatrix;
}

/** What to stream of a model, and for whom. */
export interface EmbeddingPlan {
  readonly tensors: readonly PlannedTensor[];
  readonly targets: readonly PlannedTarget[];
  /** Whether the targets are candidates, all reading the same tensors, of which the weights choose one or none. */
  readonly isRouted: boolean;
  /** Bytes of all ranges together. */
  readonly totalBytes: number;
  /** Digest of tensors, ranges and experts: an upload can only go on under an equal plan. */
  readonly fingerprint: string;
}

/** Most experts that one model is embedded by at a time; a model has no more layers that are worth reading. */
export const maxExpertsPerModel = 64;

/** Layer kinds and names, for messages. */
function toLayerLabel({ module, kind, shape }: LayerSpec): string {
  return `${kind} ${module} [${shape.rows}, ${shape.columns}]`;
}

/**
 * Decides which experts serve a model and which byte ranges they want of it.
 *
 * @throws NotFoundError `LAYER_NOT_FOUND` or `EXPERT_NOT_FOUND`
 * @throws PreconditionError `EXPERT_AMBIGUOUS` if none is named and several fit.
 * @throws InvalidInputError if a wanted tensor's shape or element type does not fit.
 */
export async function planEmbedding(manifest: ModelManifest, catalogue: Catalogue): Promise<EmbeddingPlan> {
  const candidates = await planCandidates(manifest, catalogue);
  const isNamed = manifest.experts.length > 0;
  const isRouted = isNamed ? manifest.isRouted === true : parseTreeName(candidates[0].expert.extra) !== undefined;
  if (isNamed ? isRouted : candidates.length > 1) assertCandidates(candidates);
  return toPlan(candidates, isRouted);
}

function assertExpertCount(count: number): void {
  if (count <= maxExpertsPerModel) return;
  throw new LimitExceededError(
    "LIMIT_EXCEEDED",
    `${count} experts are asked for; one model may have ${maxExpertsPerModel} at a time`,
    { found: count, limit: maxExpertsPerModel },
  );
}

function assertNoneTwice(experts: readonly Expert[]): void {
  const seen = new Set<string>();
  for (const expert of experts) {
    if (seen.has(expert.spaceId)) {
      const message = `the expert ${toLabel(expert)} is asked for twice`;
      throw new InvalidInputError("DUPLICATE", message, { expert: expert.spaceId });
    }
    seen.add(expert.spaceId);
  }
}

/** What an expert reads. An error of a layer that is there says whose layer it is: others may read another. */
function selectFor(expert: Expert, tensors: ModelManifest["tensors"]): SelectedTensor[] {
  try {
    return selectLayer(tensors, expert.layer);
  } catch (error) {
    if (!(error instanceof ProbestreamError) || error.reason === "LAYER_NOT_FOUND") throw error;
    const plain = toPlainError(error);
    const facts = { ...plain.facts, expert: expert.name };
    throw fromPlainError({ ...plain, message: `${plain.message} (for the expert "${expert.name}")`, facts });
  }
}

/** An expert, and the tensors of a model that it reads. */
export interface Selection {
  readonly expert: Expert;
  readonly selected: readonly SelectedTensor[];
}

/** One expert or more. */
export type Candidates = readonly [Selection, ...Selection[]];

function toPlan(selections: readonly Selection[], isRouted: boolean): EmbeddingPlan {
  const indices = new Map<string, number>();
  const tensors: PlannedTensor[] = [];
  const targets = selections.map(({ expert, selected }) => ({
    expert,
    uses: selected.map((one): TensorUse => {
      const key = JSON.stringify([one.tensor.name, one.beginByte, one.endByte]);
      const matrix = toStoredMatrix(one);
      let tensorIndex = indices.get(key);
      if (tensorIndex === undefined) {
        tensorIndex = tensors.length;
        indices.set(key, tensorIndex);
        const { tensor, beginByte, endByte } = one;
        tensors.push({ tensor, beginByte, endByte, matrix });
      }
      return { role: one.role, tensorIndex, matrix };
    }),
  }));
  const identity = [
    tensors.map(({ tensor, beginByte, endByte }) => [tensor.name, tensor.dtype, tensor.shape, beginByte, endByte]),
    targets.map(({ expert, uses }) => [expert.spaceId, ...uses.flatMap(({ matrix }) => matrix.scale ?? [])]),
    isRouted,
    // A sketch that was not begun with the upload cannot be made up for.
    targets.map(({ expert }) => parseTreeName(expert.extra) !== undefined),
  ];
  return {
    tensors,
    targets,
    isRouted,
    totalBytes: tensors.reduce((sum, { matrix }) => sum + rangeBytes(matrix), 0),
    fingerprint: createHash("sha256").update(JSON.stringify(identity)).digest("hex"),
  };
}

/**
 * The experts that a model names, or all whose layer it has.
 *
 * @throws as {@link planEmbedding}, but for `EXPERT_AMBIGUOUS`.
 */
export async function planCandidates(
  { tensors, experts }: Pick<ModelManifest, "tensors" | "experts">,
  catalogue: Catalogue,
): Promise<Candidates> {
  assertExpertCount(experts.length);
  const named = await Promise.all(experts.map((reference) => catalogue.get(reference)));
  assertNoneTwice(named);
  const [first, ...others] = named.map((expert) => ({ expert, selected: selectFor(expert, tensors) }));
  return first === undefined ? findCandidates(tensors, catalogue) : [first, ...others];
}

/**
 * The experts whose layer a model has.
 *
 * @throws NotFoundError `LAYER_NOT_FOUND` if there are none, or what is wrong with a layer that is there.
 */
async function findCandidates(tensors: ModelManifest["tensors"], catalogue: Catalogue): Promise<Candidates> {
  const experts = await catalogue.recent();
  const fitting: Selection[] = [];
  const errors: ProbestreamError[] = [];
  for (const expert of experts) {
    try {
      const selected = selectFor(expert, tensors);
      // Copies of one folder are one expert.
      if (!fitting.some((other) => other.expert.spaceId === expert.spaceId)) fitting.push({ expert, selected });
    } catch (error) {
      if (!(error instanceof ProbestreamError)) throw error;
      errors.push(error);
    }
  }
  const [first, ...others] = fitting;
  if (first !== undefined) return [first, ...others];
  // What is wrong with a layer that is there says more than that another expert's layer is not.
  const telling =
    errors.find(({ reason }) => reason !== "LAYER_NOT_FOUND") ?? (errors.length === 1 ? errors[0] : undefined);
  if (telling !== undefined) throw telling;
  const wanted = experts.slice(0, 5).map(({ name, layer }) => `${name} reads ${toLayerLabel(layer)}`);
  throw new NotFoundError(
    "LAYER_NOT_FOUND",
    experts.length === 0
      ? "the catalogue has no experts; put an expert folder into the --experts folder"
      : `none of the ${experts.length} experts finds its layer among the model's ${tensors.size} tensors: ${wanted.join("; ")}`,
    { experts: experts.length, tensors: tensors.size },
  );
}

/**
 * Guards that weights can choose one of some experts: each has a tree, and all read the same rows.
 *
 * @throws PreconditionError `EXPERT_AMBIGUOUS`, LimitExceededError `LIMIT_EXCEEDED`.
 */
function assertCandidates(candidates: readonly Selection[]): void {
  const facts = { candidates: candidates.map(({ expert }) => expert.spaceId).join(" ") };
  const names = candidates.slice(0, maxListed).map(({ expert }) => toLabel(expert));
  const listed = `${candidates.length} experts fit the model: ${names.join(", ")}${candidates.length > maxListed ? ", …" : ""}`;
  const name = "name one of them (`experts` of the manifest, --expert)";
  const treeless = candidates.filter(({ expert }) => parseTreeName(expert.extra) === undefined);
  const [one] = treeless;
  if (one !== undefined) {
    const message = `${listed}; ${name}, or calibrate them (\`probestream experts calibrate\`) so that the weights choose: ${toLabel(one.expert)} was not`;
    throw new PreconditionError("EXPERT_AMBIGUOUS", message, facts);
  }
  if (new Set(candidates.map(toRowsKey)).size > 1) {
    throw new PreconditionError("EXPERT_AMBIGUOUS", `${listed}, and they read different layers; ${name}`, facts);
  }
  if (candidates.length <= maxExpertsPerModel) return;
  const message = `${listed}; ${maxExpertsPerModel} may be candidates at a time, ${name}`;
  throw new LimitExceededError("LIMIT_EXCEEDED", message, { found: candidates.length, limit: maxExpertsPerModel });
}

/** What an expert reads, but for scales: of LoRA layers some apply them and others do not. */
export function toRowsKey({ selected }: Selection): string {
  const weights = selected.filter(({ role }) => role !== "lora-alpha" && role !== "weight-scale");
  return JSON.stringify(
    weights.map(({ role, tensor, beginByte, endByte, columns }) => [role, tensor.name, beginByte, endByte, columns]),
  );
}

/** Most candidates that an error lists. */
const maxListed = 10;
