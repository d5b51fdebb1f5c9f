interface Kind {
  /** What it makes of the weights W, for messages. */
  readonly what: string;
  /** How its tensors are called, after the module's path. */
  readonly tensors: readonly string[];
}

/** Adapters of LyCORIS, PEFT and kohya whose change of the weights is not, or not only, a product of two factors. */
const kinds = {
  LoHa: {
    what: "two products multiplied number by number",
    tensors: ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"],
  },
  LoKr: {
    what: "a Kronecker product",
    tensors: ["lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t1", "lokr_t2"],
  },
  DoRA: { what: "W and a product, normalised together", tensors: ["dora_scale", "lora_magnitude_vector"] },
  "LoCon with a mid tensor": { what: "a product of three tensors (Tucker)", tensors: ["lora_mid"] },
  IA3: { what: "W times a vector", tensors: ["ia3_l", "on_input"] },
  OFT: { what: "W times a rotation", tensors: ["oft_blocks", "oft_diag", "oft_r", "oft_R"] },
  BOFT: { what: "W times rotations", tensors: ["boft_R", "boft_s"] },
  AdaLoRA: { what: "a product of three factors", tensors: ["lora_E", "ranknum"] },
  VeRA: { what: "a product with factors that files may lack", tensors: ["vera_lambda_b", "vera_lambda_d"] },
  FourierFT: { what: "a spectrum transformed back", tensors: ["fourierft_spectrum"] },
  GLoRA: { what: "W times a product, and more", tensors: [] },
  "full difference": { what: "a whole matrix", tensors: ["diff", "w_norm"] },
  "LoRA of an embedding": { what: "a product that lies transposed", tensors: ["lora_embedding_A", "lora_embedding_B"] },
} as const satisfies Readonly<Record<string, Kind>>;

/** A kind of adapter that is not read. */
export type ForeignKind = keyof typeof kinds;

/** What a tensor's name says of an adapter that is not read. */
export interface ForeignName {
  readonly kind: ForeignKind;
  /** Path of the module as the file has it. */
  readonly path: string;
}

const kindOf: ReadonlyMap<string, ForeignKind> = new Map(
  Object.entries(kinds).flatMap(([kind, { tensors }]) => tensors.map((name) => [name, kind as ForeignKind] as const)),
);

/** GLoRA's names alone would be anyone's. */
const gloraEndings = [".a1.weight", ".a2.weight", ".b1.weight", ".b2.weight"];

/**
 * The kind of adapter that a tensor's name speaks of, where its change of the weights cannot be read as a product B·A.
 * Undefined for every other name. The name of PEFT's adapter, and `.weight`, may follow.
 *
 * @param has whether the file has a tensor of this name.
 */
export function parseForeignName(name: string, has: (name: string) => boolean): ForeignName | undefined {
  const bare = name.endsWith(".weight") ? name.slice(0, -".weight".length) : name;
  const last = bare.lastIndexOf(".");
  if (last <= 0) return undefined;
  const kind = kindOf.get(bare.slice(last + 1));
  if (kind !== undefined) return { kind, path: bare.slice(0, last) };
  const before = bare.lastIndexOf(".", last - 1);
  const kindBefore = before <= 0 ? undefined : kindOf.get(bare.slice(before + 1, last));
  if (kindBefore !== undefined) return { kind: kindBefore, path: bare.slice(0, before) };
  const glora = gloraEndings.find((ending) => name.endsWith(ending));
  if (glora === undefined) return undefined;
  const path = name.slice(0, -glora.length);
  return path !== "" && gloraEndings.every((ending) => has(path + ending)) ? { kind: "GLoRA", path } : undefined;
}

/** What an adapter of a kind makes of the weights W, for messages. */
export function describeKind(kind: ForeignKind): string {
  return kinds[kind].what;
}
