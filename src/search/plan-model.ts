import { randomUUID } from "node:crypto";
import { InvalidInputError } from "../errors/probestream-error.js";
import { parseTreeName } from "../trees/tree-file.js";
import type { ModelPlan, PlanRequest } from "./embed-port.js";
import { maxMomentsRank } from "./factor-moments.js";
import { layerSketchKinds } from "./layer-sketch-kind.js";
import type { Embedder } from "./open-embedder.js";
import type { EmbeddingPlan, PlannedTarget } from "./plan-embedding.js";

/** Plans one model and looks up where its upload can go on. Throws what {@link Embedder.plan} throws. */
export async function planModel(
  embedder: Embedder,
  { uploadId, tensors, experts }: Pick<PlanRequest, "uploadId" | "tensors" | "experts">,
): Promise<{ readonly plan: EmbeddingPlan; readonly answer: ModelPlan }> {
  if (uploadId !== "") assertUploadId(uploadId);
  const plan = await embedder.plan({ tensors, experts });
  const state = uploadId === "" ? undefined : await embedder.findUpload(uploadId, plan);
  return {
    plan,
    answer: {
      uploadId: uploadId === "" ? randomUUID() : uploadId,
      chunkBytes: embedder.limits.bestChunkBytes,
      tensors: plan.tensors.map(({ tensor, beginByte, endByte }) => ({ tensor, beginByte, endByte })),
      experts: plan.targets.map(({ expert }) => expert.spaceId),
      isRouted: plan.isRouted,
      sketches: plan.targets.map(toSketchKind),
      starts: plan.tensors.map((_, index) => state?.tensors[index] ?? { offset: 0, segmentDigests: new Uint8Array(0) }),
    },
  };
}

/** The kind of sketch that tells how a target stands to its tree; empty where nothing but the representation does. */
function toSketchKind({ expert, uses }: PlannedTarget): string {
  if (parseTreeName(expert.extra) === undefined) return "";
  const rank = uses.find(({ role }) => role === "lora-down")?.matrix.rowCount ?? 0;
  return rank > maxMomentsRank ? "" : layerSketchKinds[expert.layer.kind];
}

/** Guards the form of an upload id. */
export function assertUploadId(uploadId: string): void {
  if (/^[A-Za-z0-9_-]{16,128}$/.test(uploadId)) return;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `upload_id has ${uploadId.length} characters; it must have 16 to 128 of A-Z a-z 0-9 _ -`,
    { length: uploadId.length },
  );
}
