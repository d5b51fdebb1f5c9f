import { create } from "@bufbuild/protobuf";
import { NotFoundError, type ProbestreamError } from "../errors/probestream-error.js";
import { type Manifest, ManifestSchema } from "../gen/probestream/v1/types_pb.js";
import type { PlanRequest } from "../search/embed-port.js";
import { selectTensorsOfModules } from "../weights/tensors-of-modules.js";
import type { ExpertInfo } from "./convert/expert.js";
import { toWireTensor } from "./convert/tensor.js";
import { encodeMessage } from "./service-definition.js";

/** Bytes of manifests in one plan call, about; servers take messages of 4 MiB. */
export const planBytes = 2 * 1024 * 1024;

/** Most manifests in one plan call. */
export const maxPlanManifests = 1024;

/** A manifest with its length on the wire. */
export interface SizedManifest {
  readonly manifest: Manifest;
  readonly bytes: number;
}

/** What there is to know of a server before a manifest is sent to it. */
export interface PlanningServer {
  maxManifestTensors(): Promise<number>;
  experts(): Promise<readonly ExpertInfo[]>;
}

/**
 * The manifest of a model, whole if the server takes it. One with more than {@link planBytes}, or more tensors than the
 * server allows, is cut down to the tensors that can belong to a layer that some expert reads: DeepSeek-V3 in FP8 has
 * 89,000 tensors. Gives a NotFoundError `LAYER_NOT_FOUND` where that leaves none.
 */
export async function toFittingManifest(
  request: PlanRequest,
  server: PlanningServer,
): Promise<SizedManifest | ProbestreamError> {
  const { modelId, tensors } = request;
  const whole = toSized(request);
  const maxTensors = await server.maxManifestTensors();
  if (whole.bytes <= planBytes && tensors.size <= maxTensors) return whole;
  const experts = toWanted(await server.experts(), request.experts);
  const modules = [...new Set(experts.map(({ layer }) => layer.module))];
  const wanted = selectTensorsOfModules(tensors, modules);
  if (wanted.size === 0) {
    return new NotFoundError(
      "LAYER_NOT_FOUND",
      `none of the ${tensors.size} tensors of "${modelId}" belongs to a layer that the server's experts read: ${modules.slice(0, 5).join(", ") || "it has no experts"}`,
      { tensors: tensors.size, experts: experts.length },
    );
  }
  const narrowed = toSized({ ...request, tensors: wanted });
  // Training logs in the metadata take megabytes, and a plan can do without.
  return narrowed.bytes <= planBytes ? narrowed : toSized({ ...request, tensors: wanted, metadata: new Map() });
}

/** Splits manifests so that each call stays well below the longest message. */
export function* toPlanBatches(manifests: readonly SizedManifest[]): Generator<Manifest[]> {
  let batch: Manifest[] = [];
  let total = 0;
  for (const { manifest, bytes } of manifests) {
    if (batch.length > 0 && (total + bytes > planBytes || batch.length === maxPlanManifests)) {
      yield batch;
      batch = [];
      total = 0;
    }
    batch.push(manifest);
    total += bytes;
  }
  if (batch.length > 0) yield batch;
}

function toSized({ modelId, uploadId, tensors, metadata, experts }: PlanRequest): SizedManifest {
  const manifest = create(ManifestSchema, {
    modelId,
    uploadId,
    tensors: [...tensors.values()].map(toWireTensor),
    metadata: Object.fromEntries(metadata),
    experts: [...experts],
  });
  return { manifest, bytes: encodeMessage(ManifestSchema, manifest).byteLength };
}

/** The experts that a request names, as the server reads names; all where it names none, or some that are not there. */
function toWanted(experts: readonly ExpertInfo[], references: readonly string[]): readonly ExpertInfo[] {
  const found = references.map((reference) =>
    experts.filter(({ name, spaceId }) => name === reference || spaceId.startsWith(reference)),
  );
  return references.length === 0 || found.some(({ length }) => length === 0) ? experts : found.flat();
}
