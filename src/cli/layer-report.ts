import type { RefusedLayer } from "../training/datasets/open-packed-layers.js";
import { toGroupLines } from "./group-lines.js";

type Kind = "none" | "shape" | "non-finite" | "constant" | "unusable";

/** What models' layers cannot be used, and why. */
export function toLayerLines(
  refused: readonly RefusedLayer[],
  models: readonly { readonly path: string }[],
  module: string,
): string[] {
  const layer = `layer ${JSON.stringify(module)}`;
  return toGroupLines<Kind>({
    titles: {
      none: `models without the ${layer}`,
      shape: `models with another shape of the ${layer}`,
      "non-finite": `models with NaN or infinity in the ${layer}`,
      constant: `models with one number all over the ${layer}`,
      unusable: `models without a usable ${layer}`,
    },
    members: refused.map(({ index, kind, reason }) => ({
      kind: kinds[kind] ?? "unusable",
      text: `${models[index]?.path}: ${reason}`,
    })),
  });
}

const kinds: Partial<Record<RefusedLayer["kind"], Kind>> = {
  LAYER_NOT_FOUND: "none",
  SHAPE_MISMATCH: "shape",
  NON_FINITE: "non-finite",
  CONSTANT: "constant",
};
