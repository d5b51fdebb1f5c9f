import type { InferenceSession } from "onnxruntime-node";
import { InvalidInputError } from "../errors/probestream-error.js";
import type { EncoderSettings } from "./encoder-settings.js";

/** What a model of texts takes and gives. */
export interface ModelSignature {
  /** Type of its inputs. */
  readonly integers: "int32" | "int64";
  /** It is told which tokens are the text's. */
  readonly hasMask: boolean;
  /** It is told which of two texts a token is of; here always the first. */
  readonly hasTypes: boolean;
  /** Every sequence has so many tokens; absent where the model takes any number. */
  readonly sequenceLength?: number;
  /** It takes so many texts at once, no fewer; absent where it takes any number. */
  readonly batchSize?: number;
  readonly output: ModelOutput;
}

/** An output of which vectors of texts are made. */
export interface ModelOutput {
  readonly name: string;
  readonly type: "float32" | "float16";
  /** It holds a vector per token, which are to be pooled, instead of one per text. */
  readonly isPerToken: boolean;
}

/** Outputs [texts, width]: CLIP's and sentence-transformers'. */
const textOutputs = ["text_embeds", "sentence_embedding"] as const;

/**
 * A vector per text too. Of a tower of CLIP that of its end-of-text token, before the projection; of BERT and its like
 * one that was trained for something else, so that tokens go before it.
 */
const pooledOutput = "pooler_output";

/** Outputs [texts, tokens, width]. */
const tokenOutputs = ["last_hidden_state", "token_embeddings"] as const;

const inputNames = ["input_ids", "attention_mask", "token_type_ids"] as const;

/**
 * Finds the inputs and the output of a model of texts: `input_ids` [texts, tokens], and where it has them
 * `attention_mask` and `token_type_ids`, all int64 or all int32; `text_embeds` [texts, width], or another name of such,
 * or `last_hidden_state` [texts, tokens, width], float32 or float16.
 *
 * @param where path of the model, for messages.
 * @throws InvalidInputError `FIELD_INVALID` if names are others, or sentence-transformers' settings name a step that is
 * not in the model; `DTYPE_UNSUPPORTED` or `SHAPE_MISMATCH` if they are of another kind; the message lists what the model
 * has.
 */
export function selectSignature(
  { inputMetadata: inputs, outputMetadata: outputs }: Pick<InferenceSession, "inputMetadata" | "outputMetadata">,
  { family, missingStep }: Pick<EncoderSettings, "family" | "missingStep">,
  where: string,
): ModelSignature {
  const ids = inputs.find(({ name }) => name === "input_ids");
  const known: readonly string[] = inputNames;
  if (ids === undefined || inputs.some(({ name }) => !known.includes(name))) {
    const needed = `input_ids, and may have ${inputNames.slice(1).join(" and ")}`;
    throw wrong("FIELD_INVALID", where, "inputs", inputs, needed);
  }
  const integers = (["int64", "int32"] as const).find((type) => inputs.every((input) => isTensor(input, type, 2)));
  if (integers === undefined) {
    throw wrong("DTYPE_UNSUPPORTED", where, "inputs", inputs, "int64 inputs [texts, tokens], or int32 ones");
  }
  const output = selectOutput(outputs, family, where);
  if (missingStep !== undefined && (output.isPerToken || output.name === pooledOutput)) {
    const message = `${where} has no output sentence_embedding, and modules.json beside it names the step ${missingStep}, which is not in the model and unknown here; export the model with all its steps`;
    throw new InvalidInputError("FIELD_INVALID", message, { missingStep });
  }
  const [batchSize, sequenceLength] = ids.isTensor ? ids.shape : [];
  return {
    integers,
    hasMask: inputs.some(({ name }) => name === "attention_mask"),
    hasTypes: inputs.some(({ name }) => name === "token_type_ids"),
    ...(typeof sequenceLength === "number" && { sequenceLength }),
    ...(typeof batchSize === "number" && { batchSize }),
    output,
  };
}

function selectOutput(
  outputs: readonly InferenceSession.ValueMetadata[],
  family: EncoderSettings["family"],
  where: string,
): ModelOutput {
  const isTower = family !== "other";
  // The head that makes a vector of SigLIP's tokens is a layer of its own.
  const perToken: readonly string[] = family === "siglip" ? [] : tokenOutputs;
  const rest = isTower ? [pooledOutput, ...perToken] : [...perToken, pooledOutput];
  const names = [...textOutputs, ...rest];
  const found = names.map((name) => outputs.find((each) => each.name === name)).find((each) => each !== undefined);
  if (found === undefined) throw wrong("FIELD_INVALID", where, "outputs", outputs, names.join(" or "));
  const { name } = found;
  const isPerToken = perToken.includes(name);
  const type = (["float32", "float16"] as const).find((each) => isTensor(found, each, isPerToken ? 3 : 2));
  if (type !== undefined) return { name, type, isPerToken };
  const needed = `${name} as float32 or float16 [texts, ${isPerToken ? "tokens, " : ""}width]`;
  throw wrong("SHAPE_MISMATCH", where, "outputs", outputs, needed);
}

function isTensor(value: InferenceSession.ValueMetadata, type: string, rank: number): boolean {
  return value.isTensor && value.type === type && value.shape.length === rank;
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
