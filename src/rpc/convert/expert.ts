import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ProbestreamError } from "../../errors/probestream-error.js";
import type { ExpertArchitecture } from "../../experts/architecture.js";
import type { Objective } from "../../experts/checkpoint.js";
import type { Expert } from "../../experts/expert.js";
import {
  type ExpertLayerSchema,
  ExpertSchema,
  LayerKind,
  LayerLayout,
  LoraScale,
  ProbexArchitectureSchema,
  type Expert as WireExpert,
  type ExpertLayer as WireLayer,
  Objective as WireObjective,
  type UnusableExpert as WireUnusable,
} from "../../gen/probestream/v1/expert_service_pb.js";
import { toResidentBytes } from "../../search/expert-memory.js";
import type { Tree } from "../../trees/tree.js";
import { parseTreeName } from "../../trees/tree-file.js";
import type { LayerSpec } from "../../weights/layer.js";
import { fromModelError } from "./error.js";

/** The layer that an expert reads. "unknown" is what a newer server says and this version has no word for. */
export interface LayerInfo {
  /** Module path, for example "lm.blocks.1.attn.to_out". */
  readonly module: string;
  readonly kind: LayerSpec["kind"] | "unknown";
  readonly layout: LayerSpec["layout"] | "unknown";
  readonly loraScale: LayerSpec["loraScale"] | "unknown";
  /** d_H × d_W. */
  readonly shape: LayerSpec["shape"];
  /** Rows of the stored layer that are read, where it is a slice of a packed one. */
  readonly rows?: LayerSpec["rows"];
}

/** An expert as a server announces it. "unknown" is what a newer server says and this version has no word for. */
export interface ExpertInfo {
  /** Its identity: 64 lower-case hexadecimal digits. */
  readonly spaceId: string;
  /** For people. */
  readonly name: string;
  readonly objective: Objective | "unknown";
  readonly layer: LayerInfo;
  readonly architecture: ExpertArchitecture | { readonly kind: "unknown" };
  /** r_T. */
  readonly representationWidth: number;
  /** d_text; 0 if it has no text head. */
  readonly textWidth: number;
  /** SHA-256 of the text encoder's ONNX file, or empty. */
  readonly textEncoder: string;
  /** Prompt template with `{}` for the label, or empty. */
  readonly prompt: string;
  readonly labels: readonly string[];
  /** The Model Tree that it was calibrated on; absent if it was not. */
  readonly tree?: Pick<Tree, "name" | "parent">;
  /** Bytes that the memory plan reserves for it in each worker that serves it. */
  readonly residentBytes: number;
}

/** Experts of a server, and folders of its catalogue that hold none. */
export interface ExpertList {
  /** Ordered by name and space id. */
  readonly experts: readonly ExpertInfo[];
  readonly unusable: readonly { readonly name: string; readonly error: ProbestreamError }[];
}

const objectives = { zeroshot: WireObjective.ZEROSHOT, classification: WireObjective.CLASSIFICATION } as const;
const kinds = { dense: LayerKind.DENSE, lora: LayerKind.LORA } as const;
const layouts = {
  linear: LayerLayout.LINEAR,
  transposed: LayerLayout.TRANSPOSED,
  conv: LayerLayout.CONV,
  vector: LayerLayout.VECTOR,
} as const;
const scales = { none: LoraScale.NONE, apply: LoraScale.APPLY } as const;

/** An expert for the wire. */
export function toWireExpert(expert: Expert): WireExpert {
  const { layer, objective } = expert;
  const tree = parseTreeName(expert.extra);
  return create(ExpertSchema, {
    spaceId: expert.spaceId,
    name: expert.name,
    objective: objectives[objective],
    layer: toWireLayer(layer),
    layerRows: BigInt(layer.shape.rows),
    layerColumns: BigInt(layer.shape.columns),
    architecture: toWireArchitecture(expert.architecture),
    representationWidth: expert.representationWidth,
    textWidth: expert.textWidth,
    textEncoder: expert.textEncoder,
    prompt: expert.prompt,
    labels: [...expert.labels],
    residentBytes: BigInt(toResidentBytes(expert)),
    ...(tree !== undefined && { tree }),
  });
}

/** An expert from the wire. */
export function fromWireExpert(expert: WireExpert): ExpertInfo {
  const { spaceId, name, representationWidth, textWidth, textEncoder, prompt, labels, tree } = expert;
  return {
    spaceId,
    name,
    objective: toWord(objectives, expert.objective),
    layer: fromWireLayer(expert.layer, Number(expert.layerRows), Number(expert.layerColumns)),
    architecture: fromWireArchitecture(expert.architecture),
    representationWidth,
    textWidth,
    textEncoder,
    prompt,
    labels,
    ...(tree !== undefined && { tree: { name: tree.name, ...(tree.parent !== "" && { parent: tree.parent }) } }),
    residentBytes: Number(expert.residentBytes),
  };
}

/** A folder without a usable expert, from the wire. */
export function fromWireUnusable({ name, error }: WireUnusable): ExpertList["unusable"][number] {
  const { code = 0, reason = 0, message = "", metadata = {} } = error ?? {};
  return { name, error: fromModelError({ code, reason, message, metadata }) };
}

/** A layer for the wire, but for its shape. */
export function toWireLayer({
  module,
  kind,
  layout,
  loraScale,
  rows,
}: LayerSpec): MessageInitShape<typeof ExpertLayerSchema> {
  return {
    module,
    kind: kinds[kind],
    layout: layouts[layout],
    loraScale: scales[loraScale],
    ...(rows && { rowBegin: BigInt(rows.begin), rowEnd: BigInt(rows.end) }),
  };
}

/** A layer from the wire. */
export function fromWireLayer(layer: WireLayer | undefined, rows: number, columns: number): LayerInfo {
  const slice = layer?.rowEnd === undefined ? undefined : [layer.rowBegin ?? 0n, layer.rowEnd].map(Number);
  return {
    module: layer?.module ?? "",
    kind: toWord(kinds, layer?.kind),
    layout: toWord(layouts, layer?.layout),
    loraScale: toWord(scales, layer?.loraScale),
    shape: { rows, columns },
    ...(slice !== undefined && { rows: { begin: slice[0] as number, end: slice[1] as number } }),
  };
}

function toWireArchitecture({ kind, probeCount, projectionWidth }: ExpertArchitecture): WireExpert["architecture"] {
  return { case: kind, value: create(ProbexArchitectureSchema, { probeCount, projectionWidth }) };
}

function fromWireArchitecture({ case: kind, value }: WireExpert["architecture"]): ExpertInfo["architecture"] {
  if (kind === undefined) return { kind: "unknown" };
  return { kind, probeCount: value.probeCount, projectionWidth: value.projectionWidth };
}

/** The word that stands for a number on the wire. */
function toWord<Word extends string>(words: Readonly<Record<Word, number>>, number: number | undefined) {
  const known = Object.keys(words) as Word[];
  return known.find((word) => words[word] === number) ?? "unknown";
}
