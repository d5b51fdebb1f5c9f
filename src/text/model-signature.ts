import type { InferenceSession } from "onnxruntime-node";
import { InvalidInputError } from "../errors/probestream-error.js";

/** What a model of texts takes and gives. */
export interface ModelSignature {
  /** It is told which tokens are the text's. */
  readonly hasMask: boolean;
  /** It is told which of two texts a token is of; here always the first. */
  readonly hasTypes: boolean;
  /** Every sequence has so many tokens; absent where the model takes any number. */
  readonly sequenceLength?: number;
  /** Name of the output that holds a vector per text. */
  readonly output: string;
}

/** Outputs that hold one vector per text, the best first: CLIP's, sentence-transformers', and that before a projection. */
const outputNames = ["text_embeds", "sentence_embedding", "pooler_output"] as const;

const inputNames = ["input_ids", "attention_mask", "token_type_ids"] as const;

/**
 * Finds the inputs and the output of a model of texts: `input_ids` [texts, tokens], and where it has them
 * `attention_mask` and `token_type_ids`, all int64; `text_embeds` [texts, width], or another name of such, float32.
 *
 * @param where path of the model, for messages.
 * @throws InvalidInputError `FIELD_INVALID` if names are others, `DTYPE_UNSUPPORTED` or `SHAPE_MISMATCH` if they are of
 * another kind; the message lists what the model has.
 */
export function selectSignature(session: InferenceSession, where: string): ModelSignature {
  const { inputMetadata: inputs, outputMetadata: outputs } = session;
  const ids = inputs.find(({ name }) => name === "input_ids");
  const known: readonly string[] = inputNames;
  if (ids === undefined || inputs.some(({ name }) => !known.includes(name))) {
    throw wrong(
      "FIELD_INVALID",
      where,
      "inputs",
      inputs,
      `input_ids, and may have ${inputNames.slice(1).join(" and ")}`,
    );
  }
  if (!inputs.every((input) => isMatrix(input, "int64"))) {
    throw wrong("DTYPE_UNSUPPORTED", where, "inputs", inputs, "int64 inputs [texts, tokens]");
  }
  const output = outputNames
    .map((name) => outputs.find((each) => each.name === name))
    .find((each) => each !== undefined);
  if (output === undefined) throw wrong("FIELD_INVALID", where, "outputs", outputs, outputNames.join(" or "));
  if (!isMatrix(output, "float32")) {
    throw wrong("SHAPE_MISMATCH", where, "outputs", outputs, `${output.name} as float32 [texts, width]`);
  }
  const length = ids.isTensor ? ids.shape[1] : undefined;
  return {
    hasMask: inputs.some(({ name }) => name === "attention_mask"),
    hasTypes: inputs.some(({ name }) => name === "token_type_ids"),
    ...(typeof length === "number" && { sequenceLength: length }),
    output: output.name,
  };
}

function isMatrix(value: InferenceSession.ValueMetadata, type: string): boolean {
  return value.isTensor && value.type === type && value.shape.length === 2;
}

function wrong(
  reason: "FIELD_INVALID" | "DTYPE_UNSUPPORTED" | "SHAPE_MISMATCH",
  where: string,
  what: "inputs" | "outputs",
  found: readonly InferenceSession.ValueMetadata[],
  needed: string,
): InvalidInputError {
  const list = found.map((value) =>
    value.isTensor ? `${value.name} ${value.type} [${value.shape.join(", ")}]` : `${value.name} (no tensor)`,
  );
  return new InvalidInputError(
    reason,
    `${where} has the ${what} ${list.join("; ")}; a text encoder must have ${needed}`,
  );
}
