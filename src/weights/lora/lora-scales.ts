import type { TensorInfo } from "../layer.js";
import { type LoraFactors, listLoraFactors } from "../lora-pairs.js";
import { type AdapterScaling, parseConfigText, readAdapterScaling } from "./adapter-config.js";
import type { PatternBudget } from "./name-pattern.js";

/** Metadata key under which the text of PEFT's `adapter_config.json` travels. */
export const PEFT_CONFIG_KEY = "peft.adapter_config";

/** Metadata key under which diffusers, from 0.34 on, put the configuration of each part of a pipeline. */
const diffusersKey = "lora_adapter_metadata";

/** Steps of patterns for all modules of a file: far below a second. PEFT's own patterns take none, being names. */
const patternSteps = 5_000_000;

type FindScaling = (factors: LoraFactors) => { readonly scaling: AdapterScaling; readonly path: string } | undefined;

/**
 * Puts what a model's metadata say of the scale of its LoRA layers on their factors B, as {@link TensorInfo.loraScale}:
 * `peft.adapter_config` on those that are named as PEFT does, `lora_adapter_metadata` on the others and, without the
 * first, on all. A factor that has a scale keeps it. Without any of this the tensors are given back as they are.
 *
 * @throws InvalidInputError `HEADER_MALFORMED`, `FORMAT_REFUSED` for patterns that are not read, `SHAPE_MISMATCH` for a
 * configuration that is another adapter's; LimitExceededError `LIMIT_EXCEEDED`.
 */
export function withLoraScales(
  tensors: ReadonlyMap<string, TensorInfo>,
  metadata: ReadonlyMap<string, string>,
): ReadonlyMap<string, TensorInfo> {
  const finders = [findPeft(metadata.get(PEFT_CONFIG_KEY)), findDiffusers(metadata.get(diffusersKey))];
  const find = finders.filter((finder) => finder !== undefined);
  if (find.length === 0) return tensors;
  const budget: PatternBudget = { steps: patternSteps };
  const scaled = new Map(tensors);
  for (const factors of listLoraFactors(tensors)) {
    const { down, up } = factors;
    const [found] = find.flatMap((finder) => finder(factors) ?? []);
    if (found === undefined || up.loraScale !== undefined) continue;
    scaled.set(up.name, { ...up, loraScale: found.scaling.toScale(found.path, down.shape[0] ?? 0, budget) });
  }
  return scaled;
}

function findPeft(text: string | undefined): FindScaling | undefined {
  if (text === undefined) return undefined;
  const subject = "The adapter_config.json of the model";
  const scaling = readAdapterScaling(parseConfigText(text, subject), subject);
  if (scaling === undefined) return undefined;
  return ({ name: { path, convention } }) =>
    convention === "peft" ? { scaling, path: withoutWrapper(path) } : undefined;
}

/** Keys begin with the part of the pipeline, as the names of the tensors do; those of one model alone have none. */
function findDiffusers(text: string | undefined): FindScaling | undefined {
  if (text === undefined) return undefined;
  const subject = `The metadata ${diffusersKey} of the model`;
  const config = parseConfigText(text, subject);
  const parts = new Map<string, AdapterScaling | undefined>();
  const read = (part: string): AdapterScaling | undefined => {
    if (!parts.has(part)) parts.set(part, readAdapterScaling(config, subject, part));
    return parts.get(part);
  };
  return ({ name: { path } }) => {
    const dot = path.indexOf(".") + 1;
    const own = dot === 0 ? undefined : read(path.slice(0, dot));
    if (own !== undefined) return { scaling: own, path: withoutWrapper(path.slice(dot)) };
    const only = read("");
    return only === undefined ? undefined : { scaling: only, path: withoutWrapper(path) };
  };
}

/** PEFT matches its patterns with paths in the base model. */
function withoutWrapper(path: string): string {
  return path.replace(/^base_model\.model\./, "");
}
