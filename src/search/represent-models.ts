import type { Matrix } from "../compute/compute-backend.js";
import { InternalError } from "../errors/probestream-error.js";
import type { Head } from "../experts/head.js";
import type { Tree } from "../trees/tree.js";
import { chooseRepresentation, type RepresentedTarget, toRepresentationMatch } from "./choose-representation.js";
import type { TargetResult, WorkerResult } from "./embed-messages.js";
import type { TargetResponses } from "./finish-targets.js";
import type { ModelProjection } from "./model-projection.js";
import type { ResidentExpert } from "./resident-expert.js";

/** Text vectors and their images H·t + c in the spaces that asked so far. */
export interface TextVectors {
  readonly vectors: Matrix;
  readonly images: Map<string, Promise<Matrix>>;
}

/** A model whose layer is complete. */
export interface FinishedModel {
  readonly projection: Pick<ModelProjection, "times" | "rowsProjected" | "uses">;
  /** Per target, like the trees. */
  readonly experts: readonly { readonly spaceId: string; readonly expert: ResidentExpert }[];
  readonly trees: readonly (Tree | undefined)[];
  readonly texts: TextVectors | undefined;
  readonly isRouted: boolean;
  /** Bytes of all ranges together. */
  readonly totalBytes: number;
  readonly responses: readonly TargetResponses[];
  /** Digest of the layer, lower-case hexadecimal. */
  readonly weightsHash: string;
}

function headOf({ head }: ResidentExpert): Head {
  if (head === undefined) throw new InternalError("INTERNAL", "this worker holds probes, which represent nothing");
  return head;
}

/** One target of a finished model. */
interface HeadJob extends TargetResponses {
  readonly spaceId: string;
  readonly expert: ResidentExpert;
  readonly representation: Float32Array;
}

/**
 * Represents and scores models: one pass over M for all of them.
 *
 * @returns what each came to, in their order; one that failed fails no other.
 */
export async function representModels(
  finished: readonly FinishedModel[],
): Promise<(WorkerResult | { readonly error: unknown })[]> {
  const started = performance.now();
  const encoded = await encodeAll(finished);
  const outcomes: (readonly TargetResult[] | { readonly error: unknown })[] = [];
  for (const [model, done] of finished.entries()) {
    try {
      outcomes.push(await scoreAll(done, encoded[model] ?? []));
    } catch (error) {
      outcomes.push({ error });
    }
  }
  const headMs = (performance.now() - started) / finished.length;
  return finished.map(({ projection, weightsHash }, index) => {
    const targets = outcomes[index] ?? [];
    if ("error" in targets) return targets;
    const { rowsProjected, times } = projection;
    return { targets, rowsProjected, weightsHash, times: { ...times, headMs }, backends: projection.uses() };
  });
}

/** The representations of each model's targets. */
async function encodeAll(finished: readonly FinishedModel[]): Promise<HeadJob[][]> {
  const jobs = finished.flatMap(({ experts, responses }, model) =>
    responses.flatMap((one) => {
      const use = experts[one.target];
      return use === undefined ? [] : [{ model, ...one, ...use }];
    }),
  );
  const encoded = finished.map((): HeadJob[] => []);
  const bySpace = new Map<string, typeof jobs>();
  for (const job of jobs) bySpace.set(job.spaceId, [...(bySpace.get(job.spaceId) ?? []), job]);
  for (const sameSpace of bySpace.values()) {
    const { expert } = sameSpace[0] as (typeof jobs)[number];
    const representations = await headOf(expert).encode(sameSpace.map(({ responses }) => responses));
    for (const [index, job] of sameSpace.entries()) {
      encoded[job.model]?.push({ ...job, representation: representations[index] as Float32Array });
    }
  }
  for (const own of encoded) own.sort((a, b) => a.target - b.target);
  return encoded;
}

/** Scores of a model's targets; of those of a routed LoRA layer the one in whose tree its representation lies. */
async function scoreAll(done: FinishedModel, jobs: readonly HeadJob[]): Promise<TargetResult[]> {
  const represented = jobs.flatMap(({ target, spaceId, representation }): RepresentedTarget[] => {
    const tree = done.trees[target];
    const gaussian = tree?.gaussian;
    return tree === undefined || gaussian === undefined
      ? []
      : [{ target, spaceId, tree: { ...tree, gaussian }, representation }];
  });
  const isOpen = done.isRouted && jobs.some(({ match }) => match === undefined);
  const chosen = isOpen ? chooseRepresentation(represented, done.totalBytes) : undefined;
  const results: TargetResult[] = [];
  for (const { target, spaceId, expert, representation, match } of jobs) {
    if (chosen !== undefined && target !== chosen.target) continue;
    const own = represented.find((one) => one.target === target);
    results.push({
      target,
      representation,
      cosines: await score(spaceId, expert, done.texts, representation),
      logits: headOf(expert).logits(representation),
      tree: chosen?.match ?? match ?? (own && toRepresentationMatch(own)),
    });
  }
  return results;
}

async function score(
  spaceId: string,
  expert: ResidentExpert,
  texts: TextVectors | undefined,
  representation: Float32Array,
): Promise<Float32Array> {
  const head = headOf(expert);
  if (texts === undefined || !head.hasTextHead) return new Float32Array(0);
  let images = texts.images.get(spaceId);
  if (images === undefined) {
    images = head.toTextImages(texts.vectors);
    texts.images.set(spaceId, images);
    // What failed once may work for the next model.
    images.catch(() => texts.images.delete(spaceId));
  }
  return head.cosines(representation, await images);
}
