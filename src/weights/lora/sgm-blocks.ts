/** Layers of one resolution in Stable Diffusion 1 and 2 and in SDXL: two residual blocks, and what changes the size. */
const layersPerBlock = 3;

/** Parts of a residual block. */
const residual: readonly (readonly [sgm: string, diffusers: string])[] = [
  ["in_layers_0", "norm1"],
  ["in_layers_2", "conv1"],
  ["emb_layers_1", "time_emb_proj"],
  ["out_layers_0", "norm2"],
  ["out_layers_3", "conv2"],
  ["skip_connection", "conv_shortcut"],
];

/** What lies outside of the blocks. */
const others: readonly (readonly [sgm: string, diffusers: string])[] = [
  ["time_embed_0", "time_embedding_linear_1"],
  ["time_embed_2", "time_embedding_linear_2"],
  ["label_emb_0_0", "add_embedding_linear_1"],
  ["label_emb_0_2", "add_embedding_linear_2"],
];

/**
 * The name that diffusers give a layer of a UNet that goes by its name in the code of Stable Diffusion or SDXL, all dots
 * as underscores: `input_blocks_4_1_proj_in` is `down_blocks_1_attentions_0_proj_in`. Undefined for any other name.
 *
 * Input block 0 is the first convolution, and from then on every three are one resolution: two layers and a change of
 * size; output blocks are three layers each, the last with the change of size.
 *
 * @param isUnet whether the name is known to be a UNet's; the names of blocks say it themselves.
 * @see diffusers, `_maybe_map_sgm_blocks_to_diffusers` in `loaders/lora_conversion_utils.py`, with 2 `layers_per_block`
 */
export function fromSgmName(flat: string, isUnet: boolean): string | undefined {
  const found = /^(input|output)_blocks_(\d{1,3})_(\d)(?:_(.+))?$/.exec(flat);
  if (found !== null) {
    const [, side, block, inner, rest = ""] = found;
    return side === "input" ? toDown(Number(block), inner, rest) : toUp(Number(block), inner, rest);
  }
  const middle = /^middle_block_([012])(?:_(.+))?$/.exec(flat);
  if (middle !== null) {
    const [, inner, rest = ""] = middle;
    if (inner === "1") return join("mid_block_attentions_0", rest);
    return join(`mid_block_resnets_${inner === "0" ? 0 : 1}`, toResidual(rest));
  }
  return isUnet ? others.find(([sgm]) => sgm === flat)?.[1] : undefined;
}

function toDown(block: number, inner: string | undefined, rest: string): string | undefined {
  if (block === 0) return inner === "0" && rest === "" ? "conv_in" : undefined;
  const at = Math.floor((block - 1) / layersPerBlock);
  const layer = (block - 1) % layersPerBlock;
  if (layer < 2) return toLayer(`down_blocks_${at}`, layer, inner, rest);
  return inner === "0" && rest === "op" ? `down_blocks_${at}_downsamplers_0_conv` : undefined;
}

function toUp(block: number, inner: string | undefined, rest: string): string | undefined {
  const at = Math.floor(block / layersPerBlock);
  // An upsampler comes after the attention, or in its place where the resolution has none.
  if (rest === "conv") return inner === "0" ? undefined : `up_blocks_${at}_upsamplers_0_conv`;
  return toLayer(`up_blocks_${at}`, block % layersPerBlock, inner, rest);
}

function toLayer(block: string, layer: number, inner: string | undefined, rest: string): string | undefined {
  if (inner === "0") return join(`${block}_resnets_${layer}`, toResidual(rest));
  return inner === "1" ? join(`${block}_attentions_${layer}`, rest) : undefined;
}

function toResidual(rest: string): string {
  return residual.find(([sgm]) => sgm === rest)?.[1] ?? rest;
}

function join(path: string, rest: string): string {
  return rest === "" ? path : `${path}_${rest}`;
}
