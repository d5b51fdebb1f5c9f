/** Names of one module's tensors under one convention. */
export interface LoraNames {
  readonly down: string;
  readonly up: string;
  /** Names that its alpha may have. */
  readonly alphas: readonly string[];
}

interface Convention {
  readonly down: string;
  readonly up: string;
  readonly alphas: readonly string[];
  /** Whether the module is named without the `.processor` before its last part. */
  readonly processor?: true;
}

/** What is appended to a module's path. Sources: the authors, kohya-ss, PEFT, diffusers new and old. */
const conventions: readonly Convention[] = [
  { down: ".lora.down.weight", up: ".lora.up.weight", alphas: [".lora.alpha", ".alpha"] },
  { down: ".lora_down.weight", up: ".lora_up.weight", alphas: [".alpha", ".lora.alpha"] },
  { down: ".lora_A.weight", up: ".lora_B.weight", alphas: [".alpha", ".lora.alpha"] },
  { down: ".lora_A.default.weight", up: ".lora_B.default.weight", alphas: [".alpha", ".lora.alpha"] },
  { down: ".lora_linear_layer.down.weight", up: ".lora_linear_layer.up.weight", alphas: [".alpha", ".lora.alpha"] },
  {
    down: "_lora.down.weight",
    up: "_lora.up.weight",
    alphas: ["_lora.alpha", ".alpha", ".lora.alpha"],
    processor: true,
  },
];

/** The names that a module's factors may have, one entry for each convention. */
export function toLoraNames(module: string): readonly LoraNames[] {
  const [plain = module, ...processors] = toModulePaths(module);
  return conventions.flatMap((convention) => {
    const paths = convention.processor === undefined ? [plain] : [...processors, plain];
    return paths.map((path) => toNames(path, convention));
  });
}

/** The paths that the names of a module's tensors begin with: its own, and where it has parts that of its processor. */
export function toModulePaths(module: string): string[] {
  const cut = module.lastIndexOf(".");
  return cut === -1 ? [module] : [module, `${module.slice(0, cut)}.processor${module.slice(cut)}`];
}

/** The module and the factor that a tensor's name speaks of, or undefined where it is no factor of a LoRA. */
export function parseFactorName(name: string): { module: string; factor: "down" | "up"; names: LoraNames } | undefined {
  for (const convention of conventions) {
    for (const factor of ["down", "up"] as const) {
      const suffix = convention[factor];
      if (!name.endsWith(suffix) || name.length === suffix.length) continue;
      const path = name.slice(0, -suffix.length);
      const module = convention.processor === undefined ? path : path.replace(/\.processor(?=\.[^.]+$)/, "");
      return { module, factor, names: toNames(path, convention) };
    }
  }
  return undefined;
}

function toNames(path: string, { down, up, alphas }: Convention): LoraNames {
  return { down: path + down, up: path + up, alphas: alphas.map((alpha) => path + alpha) };
}
