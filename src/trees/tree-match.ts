/** How a model stands to a Model Tree. */
export interface TreeMatch {
  readonly tree: string;
  /** The tree that it grew from. */
  readonly parent?: string;
  /**
   * What distances were measured on: the layer's weights; of LoRA layers, which do not hold their base's, the directions in
   * which they move it; or the expert's representation, where the tree has nothing else.
   */
  readonly basis: "layer" | "moments" | "representation";
  readonly distance: number;
  /** Distance that the tree accepts. */
  readonly radius: number;
  readonly isAccepted: boolean;
  /** Of a routed model the second nearest tree. */
  readonly next?: { readonly tree: string; readonly distance: number };
  /** Of a routed model: bytes of the layer after which the choice was certain. */
  readonly decidedBytes?: number;
}
