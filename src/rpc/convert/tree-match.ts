import type { MessageInitShape } from "@bufbuild/protobuf";
import { TreeBasis, type TreeMatchSchema, type TreeMatch as WireMatch } from "../../gen/probestream/v1/types_pb.js";
import type { TreeMatch } from "../../trees/tree-match.js";

const bases = {
  layer: TreeBasis.LAYER,
  moments: TreeBasis.MOMENTS,
  representation: TreeBasis.REPRESENTATION,
} as const satisfies Record<TreeMatch["basis"], TreeBasis>;
const words = Object.keys(bases) as TreeMatch["basis"][];

/** A tree's match for the wire. */
export function toWireMatch(match: TreeMatch): MessageInitShape<typeof TreeMatchSchema> {
  const { tree, parent = "", basis, distance, radius, isAccepted, next, decidedBytes = 0 } = match;
  return {
    tree,
    parent,
    basis: bases[basis],
    distance,
    radius,
    accepted: isAccepted,
    nextTree: next?.tree ?? "",
    nextDistance: next?.distance ?? 0,
    decidedBytes: BigInt(decidedBytes),
  };
}

/** A tree's match from the wire. */
export function fromWireMatch(match: WireMatch): TreeMatch {
  const { tree, parent, basis, distance, radius, accepted, nextTree, nextDistance, decidedBytes } = match;
  return {
    tree,
    ...(parent !== "" && { parent }),
    basis: words.find((word) => bases[word] === basis) ?? "layer",
    distance,
    radius,
    isAccepted: accepted,
    ...(nextTree !== "" && { next: { tree: nextTree, distance: nextDistance } }),
    ...(decidedBytes > 0n && { decidedBytes: Number(decidedBytes) }),
  };
}
