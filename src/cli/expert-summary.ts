import { toProbestreamError } from "../errors/plain-error.js";
import type { ExpertArchitecture } from "../experts/architecture.js";
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
  readonly architecture: ExpertArchitecture | { readonly kind: "unknown" };
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

/** An expert as the client gives it. */
type ServerExpert = Awaited<ReturnType<ProbestreamClient["listExperts"]>>["experts"][number];

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
      architecture: toArchitecture(expert.architecture),
      representation: expert.representationWidth,
      textWidth: expert.textWidth,
      prompt: expert.prompt,
      labels: expert.labels,
    })),
    unusable: unusable.map(({ name, error }) => ({ name, message: error?.message ?? "" })),
  };
}

function toArchitecture({ case: kind, value }: ServerExpert["architecture"]): ExpertSummary["architecture"] {
  if (kind === undefined) return { kind: "unknown" };
  return { kind, probeCount: value.probeCount, projectionWidth: value.projectionWidth };
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
    architecture: expert.architecture,
    representation: expert.representationWidth,
    textWidth,
    prompt,
    labels,
  };
}
