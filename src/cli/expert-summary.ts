import { toProbestreamError } from "../errors/plain-error.js";
import type { Catalogue } from "../experts/catalogue.js";
import type { Expert } from "../experts/expert.js";
import type { ProbestreamClient } from "../rpc/client.js";

/** An expert as `experts` shows it, of a server or of a folder. */
export interface ExpertSummary {
  readonly name: string;
  readonly spaceId: string;
  readonly objective: string;
  /** Module, kind and layout of the layer it reads. */
  readonly layer: { readonly module: string; readonly kind: string; readonly layout: string };
  /** d_H, d_W. */
  readonly shape: readonly [number, number];
  /** r_U. */
  readonly probes: number;
  /** r_V. */
  readonly projection: number;
  /** r_T. */
  readonly representation: number;
  /** d_text, or 0. */
  readonly textWidth: number;
  readonly prompt: string;
  readonly labels: readonly string[];
}

/** Experts, and folders that hold no usable one. */
export interface ExpertListing {
  readonly experts: readonly ExpertSummary[];
  readonly unusable: readonly { readonly name: string; readonly message: string }[];
}

/** Values of the contract's enums, by number. */
const objectives = ["unknown", "zeroshot", "classification"];
const kinds = ["unknown", "dense", "lora"];
const layouts = ["unknown", "linear", "transposed", "conv", "vector"];

/** The experts of a server. */
export async function listServerExperts(client: ProbestreamClient): Promise<ExpertListing> {
  const { experts, unusable } = await client.listExperts();
  return {
    experts: experts.map((expert) => ({
      name: expert.name,
      spaceId: expert.spaceId,
      objective: objectives[expert.objective] ?? "unknown",
      layer: {
        module: expert.layer?.module ?? "",
        kind: kinds[expert.layer?.kind ?? 0] ?? "unknown",
        layout: layouts[expert.layer?.layout ?? 0] ?? "unknown",
      },
      shape: [Number(expert.layerRows), Number(expert.layerColumns)],
      probes: expert.probeCount,
      projection: expert.projectionWidth,
      representation: expert.representationWidth,
      textWidth: expert.textWidth,
      prompt: expert.prompt,
      labels: expert.labels,
    })),
    unusable: unusable.map(({ name, error }) => ({ name, message: error?.message ?? "" })),
  };
}

/** The experts of a folder. */
export async function listFolderExperts(catalogue: Catalogue): Promise<ExpertListing> {
  const { experts, unusable } = await catalogue.list();
  return {
    experts: experts.map(toSummary),
    unusable: unusable.map(({ name, error }) => ({ name, message: toProbestreamError(error).message })),
  };
}

function toSummary(expert: Expert): ExpertSummary {
  const { name, spaceId, objective, layer, labels, textWidth, prompt } = expert;
  return {
    name,
    spaceId,
    objective,
    layer: { module: layer.module, kind: layer.kind, layout: layer.layout },
    shape: [layer.shape.rows, layer.shape.columns],
    probes: expert.probeCount,
    projection: expert.projectionWidth,
    representation: expert.representationWidth,
    textWidth,
    prompt,
    labels,
  };
}
