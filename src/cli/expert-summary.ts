import { toProbestreamError } from "../errors/plain-error.js";
import type { Catalogue } from "../experts/catalogue.js";
import type { Expert } from "../experts/expert.js";
import type { ProbestreamClient } from "../rpc/client.js";
import type { ExpertInfo } from "../rpc/convert/expert.js";
import { parseTreeName } from "../trees/tree-file.js";

/** An expert as `experts` shows it, of a server or of a folder. */
export interface ExpertSummary
  extends Pick<ExpertInfo, "name" | "spaceId" | "objective" | "architecture" | "textWidth" | "prompt" | "labels"> {
  /** Module, kind and layout of the layer it reads. */
  readonly layer: Pick<ExpertInfo["layer"], "module" | "kind" | "layout">;
  /** d_H, d_W. */
  readonly shape: readonly [number, number];
  /** r_T. */
  readonly representation: number;
  /** Name of the Model Tree that it was calibrated on; null if it was not. */
  readonly tree: string | null;
}

/** Experts, and folders that hold no usable one. */
export interface ExpertListing {
  readonly experts: readonly ExpertSummary[];
  readonly unusable: readonly { readonly name: string; readonly message: string }[];
}

/** The experts of a server or of a folder. */
export async function listExperts(source: ProbestreamClient | Catalogue): Promise<ExpertListing> {
  const { experts, unusable } = await ("list" in source ? source.list() : source.listExperts());
  return {
    experts: experts.map(toSummary),
    unusable: unusable.map(({ name, error }) => ({ name, message: toProbestreamError(error).message })),
  };
}

function toSummary(expert: Expert | ExpertInfo): ExpertSummary {
  const { name, spaceId, objective, layer, architecture, representationWidth, textWidth, prompt, labels } = expert;
  return {
    name,
    spaceId,
    objective,
    layer: { module: layer.module, kind: layer.kind, layout: layer.layout },
    shape: [layer.shape.rows, layer.shape.columns],
    architecture,
    representation: representationWidth,
    textWidth,
    prompt,
    labels,
    tree: ("extra" in expert ? parseTreeName(expert.extra) : expert.tree)?.name ?? null,
  };
}
