import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { InvalidInputError } from "../../errors/probestream-error.js";
import {
  RouteDecision,
  type RouteModelRequest,
  RouteModelRequestSchema,
  type RouteModelResponse,
  type RouteModelResponseSchema,
} from "../../gen/probestream/v1/expert_service_pb.js";
import type { Manifest } from "../../gen/probestream/v1/types_pb.js";
import type { EmbedLimits } from "../../search/limits.js";
import type { RouteAnswer, RouteRequest } from "../../search/route-model.js";
import { quoteName } from "../../weights/quote-name.js";
import { fromManifest } from "./plan.js";
import { assertName, fromWireRange, toWireRange } from "./tensor.js";
import { fromWireMatch, toWireMatch } from "./tree-match.js";

const decisions = {
  routed: RouteDecision.ROUTED,
  undecided: RouteDecision.UNDECIDED,
  "no-expert": RouteDecision.NO_EXPERT,
} as const satisfies Record<RouteAnswer["decision"], RouteDecision>;

/** A request from the wire. */
export function fromRouteRequest({ manifest, prefixes }: RouteModelRequest, limits: EmbedLimits): RouteRequest {
  if (manifest === undefined) throw new InvalidInputError("FIELD_INVALID", "manifest is not set; send the model's");
  const byTensor = new Map<string, Uint8Array>();
  for (const { tensor, data } of prefixes) {
    assertName(tensor, "prefixes.tensor");
    if (byTensor.has(tensor)) {
      throw new InvalidInputError("DUPLICATE", `there are two prefixes of ${quoteName(tensor)}; send one`, { tensor });
    }
    byTensor.set(tensor, data);
  }
  const { tensors, metadata, experts } = fromManifest(manifest, limits);
  const hints = [manifest.treeHint, manifest.baseModelHint].filter((hint) => hint !== "");
  return { tensors, metadata, experts, hints, prefixes: byTensor };
}

/** A request for the wire, about a model whose manifest is ready to be sent. */
export function toRouteRequest(
  manifest: Manifest,
  { hints, prefixes }: Pick<RouteRequest, "hints" | "prefixes">,
): RouteModelRequest {
  const [treeHint = "", baseModelHint = ""] = hints;
  return create(RouteModelRequestSchema, {
    manifest: { ...manifest, treeHint, baseModelHint },
    prefixes: [...prefixes].map(([tensor, data]) => ({ tensor, data: new Uint8Array(data) })),
  });
}

/** An answer for the wire. */
export function toRouteResponse(answer: RouteAnswer): MessageInitShape<typeof RouteModelResponseSchema> {
  return {
    decision: decisions[answer.decision],
    candidates: answer.candidates.map(({ spaceId, expertName, tree, isPossible, isClaimed }) => ({
      spaceId,
      expertName,
      ...(tree !== undefined && { tree: toWireMatch(tree) }),
      possible: isPossible,
      claimed: isClaimed,
    })),
    tensors: answer.tensors.map(toWireRange),
    prefixBytes: BigInt(answer.prefixBytes),
  };
}

/** An answer from the wire; a decision that this version has no word for counts as none. */
export function fromRouteResponse({ decision, candidates, tensors, prefixBytes }: RouteModelResponse): RouteAnswer {
  const words = Object.keys(decisions) as RouteAnswer["decision"][];
  return {
    decision: words.find((word) => decisions[word] === decision) ?? "undecided",
    candidates: candidates.map(({ spaceId, expertName, tree, possible, claimed }) => ({
      spaceId,
      expertName,
      ...(tree !== undefined && { tree: fromWireMatch(tree) }),
      isPossible: possible,
      isClaimed: claimed,
    })),
    tensors: tensors.map(fromWireRange),
    prefixBytes: Number(prefixBytes),
  };
}
