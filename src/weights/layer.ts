import type { Dtype } from "../linalg/dtype.js";

/** A tensor as a file's header describes it; `dtype` is any name the format has, readable or not. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: string;
  /** Extents, outermost first; row-major. */
  readonly shape: readonly number[];
  /**
   * Of a factor B of a LoRA: s of X = s · B A, where the adapter's configuration says it. The tensor of an alpha comes
   * before it.
   */
  readonly loraScale?: number;
}

/** The layer that an expert reads, and how it lies in a file. `expert.json` holds the same under `layer` and `shape`. */
export interface LayerSpec {
  /** Module path, for example `lm.blocks.1.attn.to_out`. Of a LoRA layer any of its names will do. */
  readonly module: string;
  readonly kind: "dense" | "lora";
  /**
   * How a stored tensor is read as X (d_H × d_W): `linear` [out, in] as it is (1×1 convolutions squeezed to it);
   * `transposed` [in, out], X is the transpose; `conv` [out, in, kh, kw] read row-major as [in·kh·kw, out];
   * `vector` [n] read as [n, 1].
   */
  readonly layout: "linear" | "transposed" | "conv" | "vector";
  /** Rows of X that are read, where the layer is a slice of a packed one (Q of QKV). */
  readonly rows?: { readonly begin: number; readonly end: number };
  /** What becomes of the scale of a LoRA layer: of alpha / rank, or of what the adapter's configuration says. */
  readonly loraScale: "none" | "apply";
  /** d_H × d_W, after slicing. */
  readonly shape: { readonly rows: number; readonly columns: number };
}

/** What a tensor is to an expert. */
export type TensorRole = "weight" | "weight-scale" | "lora-down" | "lora-up" | "lora-alpha";

/** One tensor that an expert wants, with the byte range it wants of it. */
export interface SelectedTensor {
  readonly role: TensorRole;
  readonly tensor: TensorInfo & { readonly dtype: Dtype };
  /** First wanted byte, from the tensor's first; on a row boundary of the stored matrix. */
  readonly beginByte: number;
  /** One past the last wanted byte. */
  readonly endByte: number;
  /** Rows of the stored matrix inside the range. */
  readonly rowCount: number;
  /** Numbers in a row of the stored matrix, wanted or not. */
  readonly columnCount: number;
  /** Columns of the stored matrix that the expert reads; all but where a transposed layer is sliced. */
  readonly columns: { readonly begin: number; readonly end: number };
  /** What the product of a LoRA is multiplied by, of its `lora-up`; absent where an alpha says it, or nothing does. */
  readonly scale?: number;
}
