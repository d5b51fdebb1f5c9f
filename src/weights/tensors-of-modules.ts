import type { TensorInfo } from "./layer.js";
import { toModulePaths } from "./lora-naming.js";

/**
 * The tensors of a model that can belong to one of these modules, in their order: the module itself, and what its
 * name, or the name that diffusers give its LoRA, is followed by after a dot or an underscore. More than
 * {@link selectLayer} reads, never less: planning on them gives what planning on all gives.
 */
export function selectTensorsOfModules(
  tensors: ReadonlyMap<string, TensorInfo>,
  modules: readonly string[],
): Map<string, TensorInfo> {
  // A module may name its tensor, whose scale is then named without the ".weight".
  const paths = new Set(modules.flatMap((module) => [module, module.replace(/\.weight$/, "")]).flatMap(toModulePaths));
  return new Map([...tensors].filter(([name]) => belongs(name, paths)));
}

/** Looks up the beginnings of the name, of which it has few, in place of the modules, which may be thousands. */
function belongs(name: string, paths: ReadonlySet<string>): boolean {
  if (paths.has(name)) return true;
  for (let at = 0; at < name.length; at++) {
    if ((name[at] === "." || name[at] === "_") && paths.has(name.slice(0, at))) return true;
  }
  return false;
}
