import type { Expert } from "../../experts/expert.js";
import { type ExpertProbes, parseProbes } from "../../experts/expert-probes.js";

/**
 * An expert of which the probes alone are here, in a file: enough to plan and project for it. What it answers is its server's
 * to know.
 *
 * @throws InvalidInputError as `parseProbes`.
 */
export function toProbedExpert(probes: ExpertProbes, file: string): Expert {
  const { architecture } = parseProbes(probes);
  const { spaceId, name, layer, tensors } = probes;
  return {
    spaceId,
    name,
    folder: file,
    objective: "zeroshot",
    layer,
    architecture,
    representationWidth: 0,
    textWidth: 0,
    labelCount: 0,
    labels: [],
    textEncoder: "",
    prompt: "",
    parameterBytes: tensors.reduce((sum, { values }) => sum + values.byteLength, 0),
    extra: {},
  };
}
