import { Dtype } from "../../gen/probestream/v1/types_pb.js";
import { isDtype } from "../../linalg/dtype.js";

/** Types the server reads. */
export const acceptedDtypes: readonly Dtype[] = [
  Dtype.F64,
  Dtype.F32,
  Dtype.F16,
  Dtype.BF16,
  Dtype.F8_E4M3,
  Dtype.F8_E5M2,
];

/** An element type's name in files; types that the wire does not name are "unspecified". */
export function fromWireDtype(dtype: Dtype): string {
  return acceptedDtypes.includes(dtype) ? (Dtype[dtype] ?? "unspecified") : "unspecified";
}

/** An element type on the wire, by its name in files. */
export function toWireDtype(name: string): Dtype {
  return isDtype(name) ? Dtype[name] : Dtype.UNSPECIFIED;
}
