import { createHash } from "node:crypto";
import { InvalidInputError } from "../errors/probestream-error.js";
import type { TensorInfo } from "../weights/layer.js";
import { toModuleKey } from "../weights/lora/module-path.js";
import { findLoraPairs } from "../weights/lora-pairs.js";
import { quoteName } from "../weights/quote-name.js";

/** What a model must share with another one to be of its tree. */
export interface Signature {
  readonly kind: "dense" | "lora";
  /** SHA-256, hex, of kind, names and shapes. */
  readonly key: string;
}

/**
 * The signature of a model: names and shapes of all tensors, whatever their types; of a LoRA file the modules that it
 * changes with the widths of their inputs and outputs, whatever its rank and the way it is stored. Models of
 * different signatures are of different trees.
 *
 * @throws InvalidInputError `FORMAT_REFUSED` for an adapter that is no LoRA.
 */
export function toSignature(tensors: ReadonlyMap<string, TensorInfo>): Signature {
  const { pairs, foreign } = findLoraPairs(tensors);
  const [other] = foreign;
  if (other !== undefined && pairs.length === 0) {
    const message = `It is a ${other.kind} adapter (${quoteName(other.module)}), which is no product of two factors; trees are told apart by full models and plain LoRAs.`;
    throw new InvalidInputError("FORMAT_REFUSED", message, { kind: other.kind, module: other.module });
  }
  const kind = pairs.length > 0 ? "lora" : "dense";
  const lines =
    kind === "lora"
      ? pairs.map(({ module, inWidth, outWidth }) => JSON.stringify([toModuleKey(module), inWidth, outWidth]))
      : [...tensors.values()].map(({ name, shape }) => JSON.stringify([name, ...shape]));
  const key = createHash("sha256")
    .update(`${kind}\n${lines.sort().join("\n")}`)
    .digest("hex");
  return { kind, key };
}
