import type { TensorInfo } from "./layer.js";
import { parseForeignName } from "./lora/foreign-adapters.js";
import { toModuleKey } from "./lora/module-path.js";
import { parseAlphaName, parseFactorName } from "./lora-naming.js";

/**
 * The tensors of a model that can belong to one of these modules, in their order: the module itself, what its name is
 * followed by after a dot or an underscore, and what adapters of whatever format have for it. More than
 * {@link selectLayer} reads, never less: planning on them gives what planning on all gives.
 */
export function selectTensorsOfModules(
  tensors: ReadonlyMap<string, TensorInfo>,
  modules: readonly string[],
): Map<string, TensorInfo> {
  // A module may name its tensor, whose scale is then named without the ".weight".
  const paths = new Set(modules.flatMap((module) => [module, module.replace(/\.weight$/, "")]));
  const keys = new Set(modules.map(toModuleKey));
  const has = (name: string): boolean => tensors.has(name);
  return new Map(
    [...tensors].filter(([name]) => {
      if (belongs(name, paths)) return true;
      const path = parseFactorName(name)?.path ?? parseAlphaName(name) ?? parseForeignName(name, has)?.path;
      return path !== undefined && keys.has(toModuleKey(path));
    }),
  );
}

/** Looks up the beginnings of the name, of which it has few, in place of the modules, which may be thousands. */
function belongs(name: string, paths: ReadonlySet<string>): boolean {
  if (paths.has(name)) return true;
  for (let at = 0; at < name.length; at++) {
    if ((name[at] === "." || name[at] === "_") && paths.has(name.slice(0, at))) return true;
  }
  return false;
}
