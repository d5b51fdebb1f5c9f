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
import type { LayerSpec, SelectedTensor, TensorInfo, TensorRole } from "../weights/layer.js";
import { selectLayer } from "../weights/select-layer.js";

/** What is known of a model before its weights come. */
export interface ModelManifest {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Experts wanted, by name or space id; empty where the only one that fits may serve. */
  readonly experts: readonly string[];
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
  if (manifest.experts.length > maxExpertsPerModel) {
    throw new LimitExceededError(
      "LIMIT_EXCEEDED",
      `${manifest.experts.length} experts are asked for; one model may have ${maxExpertsPerModel} at a time`,
      { found: manifest.experts.length, limit: maxExpertsPerModel },
    );
  }
  const experts =
    manifest.experts.length === 0
      ? [await chooseExpert(manifest, catalogue)]
      : await Promise.all(manifest.experts.map((reference) => catalogue.get(reference)));
  const repeated = experts.find(
    (expert, index) => experts.findIndex(({ spaceId }) => spaceId === expert.spaceId) < index,
  );
  if (repeated !== undefined) {
    throw new InvalidInputError("DUPLICATE", `the expert ${toLabel(repeated)} is asked for twice`, {
      expert: repeated.spaceId,
    });
  }
  const selections = experts.map((expert) => ({ expert, selected: selectFor(expert, manifest.tensors) }));
  return toPlan(selections);
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

interface Selection {
  readonly expert: Expert;
  readonly selected: readonly SelectedTensor[];
}

function toPlan(selections: readonly Selection[]): EmbeddingPlan {
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
  ];
  return {
    tensors,
    targets,
    totalBytes: tensors.reduce((sum, { matrix }) => sum + rangeBytes(matrix), 0),
    fingerprint: createHash("sha256").update(JSON.stringify(identity)).digest("hex"),
  };
}

/** The only expert whose layer the model has. */
async function chooseExpert({ tensors }: ModelManifest, catalogue: Catalogue): Promise<Expert> {
  const experts = await catalogue.recent();
  const fitting: Expert[] = [];
  const errors: ProbestreamError[] = [];
  for (const expert of experts) {
    try {
      selectFor(expert, tensors);
      // Copies of one folder are one expert.
      if (!fitting.some(({ spaceId }) => spaceId === expert.spaceId)) fitting.push(expert);
    } catch (error) {
      if (!(error instanceof ProbestreamError)) throw error;
      errors.push(error);
    }
  }
  const [first, ...others] = fitting;
  if (first !== undefined && others.length === 0) return first;
  if (first !== undefined) {
    throw new PreconditionError(
      "EXPERT_AMBIGUOUS",
      `${fitting.length} experts fit the model: ${fitting.map(toLabel).join(", ")}; name one of them (\`experts\` of the manifest, --expert)`,
      { candidates: fitting.map(({ spaceId }) => spaceId).join(" ") },
    );
  }
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
