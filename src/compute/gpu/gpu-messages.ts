import type { PlainError } from "../../errors/plain-error.js";
import type { ProductSides, RowBlock } from "../compute-backend.js";

/** Ways to a GPU. */
export type GpuApi = "webgpu" | "opengl";

/** What the GPU process is asked to do. Products and sums are numbered by the asker. */
export type GpuCall =
  | { readonly op: "load"; readonly product: number; readonly sides: ProductSides }
  | { readonly op: "unload"; readonly product: number }
  | {
      readonly op: "open";
      readonly product: number;
      readonly sum: number;
      readonly shape: { readonly rows: number; readonly columns: number };
    }
  | { readonly op: "add"; readonly sum: number; readonly block: RowBlock }
  | { readonly op: "read"; readonly sum: number }
  | { readonly op: "restore"; readonly sum: number; readonly values: Float32Array }
  | { readonly op: "close"; readonly sum: number }
  | { readonly op: "end" };

/** A call with the number that its answer carries. */
export interface GpuRequest {
  readonly id: number;
  readonly call: GpuCall;
}

/** What the process says: that it is ready or why not, and an answer to each request, in order. */
export type GpuReply =
  | { readonly type: "ready"; readonly device: string }
  | { readonly type: "not-ready"; readonly error: PlainError }
  | { readonly type: "done"; readonly id: number; readonly value: number | Float32Array | undefined }
  | { readonly type: "failed"; readonly id: number; readonly error: PlainError };
