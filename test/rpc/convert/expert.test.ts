import { create } from "@bufbuild/protobuf";
import test from "ava";
import {
  ExpertSchema,
  type LayerKind,
  type LayerLayout,
  type LoraScale,
  type Objective,
} from "../../../src/gen/probestream/v1/expert_service_pb.js";
import { fromWireExpert } from "../../../src/rpc/convert/expert.js";

test("what a newer server says and this version has no word for is unknown", (t) => {
  const wire = create(ExpertSchema, {
    objective: 99 as Objective,
    layer: { kind: 99 as LayerKind, layout: 99 as LayerLayout, loraScale: 99 as LoraScale },
  });
  const { objective, layer, architecture } = fromWireExpert(wire);
  t.is(objective, "unknown");
  t.deepEqual(architecture, { kind: "unknown" });
  t.like(layer, { kind: "unknown", layout: "unknown", loraScale: "unknown" });
});
