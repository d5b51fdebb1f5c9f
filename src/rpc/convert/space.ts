import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type SpaceSchema,
  SpaceState,
  type Space as WireSpace,
} from "../../gen/probestream/v1/catalogue_service_pb.js";
import type { CatalogueSpace } from "../../retrieval/retrieval-port.js";
import type { SpaceState as StateName } from "../../vectors/vector-store.js";

const states = {
  filling: SpaceState.FILLING,
  serving: SpaceState.SERVING,
  retired: SpaceState.RETIRED,
} as const satisfies Record<StateName, SpaceState>;
const names = Object.keys(states) as StateName[];

/** A space for the wire. */
export function toWireSpace(space: CatalogueSpace): MessageInitShape<typeof SpaceSchema> {
  const { spaceId, expertName, width, state, count, fields, isExpertPresent, isCalibrated } = space;
  return {
    spaceId,
    expertName,
    width,
    state: states[state],
    modelCount: BigInt(count),
    fields: [...fields],
    expertPresent: isExpertPresent,
    calibrated: isCalibrated,
  };
}

/** A space from the wire, which does not tell how much of it an approximate index holds. */
export function fromWireSpace(space: WireSpace): CatalogueSpace {
  const { spaceId, expertName, width, state, modelCount, fields, expertPresent, calibrated } = space;
  const count = Number(modelCount);
  return {
    spaceId,
    expertName,
    width,
    state: names.find((name) => states[name] === state) ?? "retired",
    count,
    indexed: count,
    fields,
    isExpertPresent: expertPresent,
    isCalibrated: calibrated,
  };
}
