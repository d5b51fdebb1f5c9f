import { create } from "@bufbuild/protobuf";
import type { ExpertArchitecture } from "../../experts/architecture.js";
import type { Expert } from "../../experts/expert.js";
import {
  ExpertSchema,
  LayerKind,
  LayerLayout,
  LoraScale,
  Objective,
  ProbexArchitectureSchema,
  type Expert as WireExpert,
} from "../../gen/probestream/v1/expert_service_pb.js";

const objectives = { zeroshot: Objective.ZEROSHOT, classification: Objective.CLASSIFICATION } as const;
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
  return create(ExpertSchema, {
    spaceId: expert.spaceId,
    name: expert.name,
    objective: objectives[objective],
    layer: {
      module: layer.module,
      kind: kinds[layer.kind],
      layout: layouts[layer.layout],
      loraScale: scales[layer.loraScale],
      ...(layer.rows && { rowBegin: BigInt(layer.rows.begin), rowEnd: BigInt(layer.rows.end) }),
    },
    layerRows: BigInt(layer.shape.rows),
    layerColumns: BigInt(layer.shape.columns),
    architecture: toWireArchitecture(expert.architecture),
    representationWidth: expert.representationWidth,
    textWidth: expert.textWidth,
    textEncoder: expert.textEncoder,
    prompt: expert.prompt,
    labels: [...expert.labels],
    residentBytes: BigInt(expert.parameterBytes),
  });
}

function toWireArchitecture({ kind, probeCount, projectionWidth }: ExpertArchitecture): WireExpert["architecture"] {
  return { case: kind, value: create(ProbexArchitectureSchema, { probeCount, projectionWidth }) };
}
