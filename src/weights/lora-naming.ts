/** What a factor's name says. */
export interface FactorName {
  /** Path of the module as the file has it, without what the old attention processors put into it. */
  readonly path: string;
  readonly factor: "down" | "up";
  /** Name of the other factor, in the same convention. */
  readonly partner: string;
  /** Names that the alpha may have: the base with each of these endings. */
  readonly alphas: { readonly base: string; readonly endings: readonly string[] };
  /** Who names factors like this: PEFT has its scale in a file of its own. */
  readonly convention: "peft" | "other";
}

interface Ending {
  readonly down: string;
  readonly up: string;
  readonly alphas: readonly string[];
  /** Whether the module is named with `.processor` before its last part. */
  readonly processor?: true;
}

/** What is appended to a module's path. Sources: the authors, kohya-ss, diffusers new and old. PEFT is apart. */
const endings: readonly Ending[] = [
  { down: ".lora.down.weight", up: ".lora.up.weight", alphas: [".lora.alpha", ".alpha"] },
  { down: ".lora_down.weight", up: ".lora_up.weight", alphas: [".alpha", ".lora.alpha"] },
  { down: ".lora_linear_layer.down.weight", up: ".lora_linear_layer.up.weight", alphas: [".alpha", ".lora.alpha"] },
  {
    down: "_lora.down.weight",
    up: "_lora.up.weight",
    alphas: ["_lora.alpha", ".alpha", ".lora.alpha"],
    processor: true,
  },
];

/** PEFT names factors A and B, and after them the adapter, unless the file was saved for one alone. */
const peftFactor = /^(.+)\.lora_([AB])((?:\.[^.]+)?\.weight)$/;

/** Endings of names that may be an alpha's. */
const alphaEnding = /(?:[._]lora)?\.alpha$/;

/** The module and the factor that a tensor's name speaks of, or undefined where it is no factor of a LoRA. */
export function parseFactorName(name: string): FactorName | undefined {
  // All that follows has it in it, and models have names by the thousand that have not.
  if (!name.includes("lora")) return undefined;
  const peft = name.includes(".lora_") ? peftFactor.exec(name) : null;
  if (peft !== null) {
    const [, path = "", letter, ending = ""] = peft;
    const partner = `${path}.lora_${letter === "A" ? "B" : "A"}${ending}`;
    const alphas = { base: path, endings: [".alpha", ".lora.alpha"] };
    return { path, factor: letter === "A" ? "down" : "up", partner, alphas, convention: "peft" };
  }
  for (const { down, up, alphas, processor } of endings) {
    for (const factor of ["down", "up"] as const) {
      const ending = factor === "down" ? down : up;
      if (!name.endsWith(ending) || name.length === ending.length) continue;
      const path = name.slice(0, -ending.length);
      return {
        path: processor === undefined ? path : withoutProcessor(path),
        factor,
        partner: path + (factor === "down" ? up : down),
        alphas: { base: path, endings: alphas },
        convention: "other",
      };
    }
  }
  return undefined;
}

/** The path of the module that an alpha's name speaks of, or undefined for any other name. */
export function parseAlphaName(name: string): string | undefined {
  if (!name.endsWith(".alpha")) return undefined;
  const path = name.replace(alphaEnding, "");
  return path === "" ? undefined : withoutProcessor(path);
}

function withoutProcessor(path: string): string {
  return path.replace(/\.processor(?=\.[^.]+$)/, "");
}
