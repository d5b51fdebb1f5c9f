import { splitFlatPath } from "./flat-path.js";
import { fromSgmName } from "./sgm-blocks.js";

/** How trainers that flatten paths call the part of a pipeline that a module belongs to. */
const flatPrefixes: ReadonlyMap<string, string> = new Map([
  ["lora_unet_", "unet"],
  ["lora_te_", "text_encoder"],
  ["lora_te1_", "text_encoder"],
  ["lora_te2_", "text_encoder_2"],
  ["lora_te3_", "text_encoder_3"],
  ["lora_transformer_", "transformer"],
  ["lycoris_", ""],
]);

const flatPrefix = /^(?:lora_(?:unet|te[123]?|transformer)|lycoris)_/;

/** What stands before a path without being part of it: PEFT's wrappers, after the name of a part or first. */
const wrapper = /^((?:unet|text_encoder(?:_[23])?|transformer|prior)\.)?(?:base_model\.model\.)+(?=.)/;

/** The UNet as the code of Stable Diffusion and ComfyUI call it. */
const unetPrefix = /^(?:unet|(?:model\.)?diffusion_model)\.(?=.)/;

/** How names of a UNet begin in the code of Stable Diffusion, and few others. */
const sgmStart = /^(?:input_|output_|middle_|time_|label_)/;

/** First segments that tell of which part a path without its name is. */
const unetSegment = /^(?:down_blocks|up_blocks|mid_block)[._]/;
const transformerSegment = /^(?:single_)?transformer_blocks[._]/;

interface ParsedPath {
  /** `unet`, say; empty where the path begins with it, or has none. */
  readonly part: string;
  readonly rest: string;
  /** Whether the dots of `rest` are underscores. */
  readonly isFlat: boolean;
}

/**
 * One path for a module, however a LoRA file names it: dotted, as diffusers name it, with the part of the pipeline first
 * (`unet`, `text_encoder`, `text_encoder_2`, `transformer`) and without wrappers. Paths of models that none of this
 * is about stay as they are.
 *
 * @param path what stands in a file before the ending of a factor, or what an expert calls its layer.
 */
export function toModulePath(path: string): string {
  const { part, rest, isFlat } = parsePath(path);
  const dotted = isFlat ? splitFlatPath(rest) : rest;
  // A list of a projection and a dropout, of which the old attention processors named the list.
  const whole = part === "unet" && /\battn\d\.to_out$/.test(dotted) ? `${dotted}.0` : dotted;
  return part === "" ? whole : `${part}.${whole}`;
}

/**
 * By what paths of modules are compared: equal for all names of a module. Dots and underscores are one, for flattened
 * names have lost the difference, and the UNet goes without its name.
 */
export function toModuleKey(path: string): string {
  const { part, rest } = parsePath(path);
  const whole = flatten(rest);
  const flat = whole.endsWith("_to_out_0") ? whole.slice(0, -"_0".length) : whole;
  return part === "" || part === "unet" ? flat : `${part}_${flat}`;
}

/** Models have thousands of paths, most of which a look at their beginning settles. */
function parsePath(path: string): ParsedPath {
  const bare = path.includes("base_model.") ? path.replace(wrapper, "$1") : path;
  const prefix = bare.startsWith("l") ? flatPrefix.exec(bare)?.[0] : undefined;
  if (prefix !== undefined && bare.length > prefix.length) {
    const rest = bare.slice(prefix.length);
    return toParsed(flatPrefixes.get(prefix) ?? "", rest, !rest.includes("."));
  }
  const unet = unetPrefix.exec(bare)?.[0];
  return unet === undefined ? toParsed("", bare, false) : toParsed("unet", bare.slice(unet.length), false);
}

/** Finds out the part where the path tells it, and puts the names of diffusers in place of others. */
function toParsed(part: string, rest: string, isFlat: boolean): ParsedPath {
  if (part !== "" && part !== "unet") return { part, rest, isFlat };
  if (sgmStart.test(rest)) {
    const diffusers = fromSgmName(flatten(rest), part === "unet");
    if (diffusers !== undefined) return { part: "unet", rest: diffusers, isFlat: true };
  }
  if (unetSegment.test(rest)) return { part: "unet", rest, isFlat };
  return { part: transformerSegment.test(rest) ? "transformer" : part, rest, isFlat };
}

function flatten(path: string): string {
  return path.includes(".") || path.includes("__") ? path.replace(/[._]+/g, "_") : path;
}
