import type { InferenceSession, Tensor } from "onnxruntime-node";
import { CorruptDataError, InternalError, InvalidInputError } from "../errors/probestream-error.js";
import { widen } from "../linalg/widen.js";
import { loadOnnxRuntime, type OnnxRuntime } from "../onnx/load-onnxruntime.js";
import type { EncoderSettings } from "./encoder-settings.js";
import { type ModelSignature, selectSignature } from "./model-signature.js";
import type { PaddedTokens } from "./token-batches.js";

/** The ONNX model of a text encoder. */
export interface TextModel {
  readonly signature: ModelSignature;
  /**
   * Gives the output for token sequences: texts × width, or texts × tokens × width where it is per token.
   *
   * @throws InvalidInputError `FIELD_INVALID` if the model does not take them.
   */
  run(tokens: PaddedTokens): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/**
 * Loads an ONNX model of texts.
 *
 * @throws CorruptDataError `CORRUPT` if it is none, UnavailableError `BACKEND_UNAVAILABLE` without onnxruntime-node, and
 * what {@link selectSignature} throws.
 */
export async function openTextModel(path: string, settings: EncoderSettings, threads: number): Promise<TextModel> {
  const runtime = await loadOnnxRuntime(
    "a text encoder needs the package onnxruntime-node: npm install onnxruntime-node",
  );
  const session = await createSession(runtime, path, threads);
  let open = true;
  const dispose = async (): Promise<void> => {
    // The runtime throws where a session ends twice.
    if (open) await session.release();
    open = false;
  };
  try {
    const signature = selectSignature(session, settings, path);
    return {
      signature,
      run: async (tokens) => {
        if (!open) throw new InternalError("INTERNAL", "a text encoder was used after its end");
        const toTensor = createTensors(runtime, signature, tokens);
        const feeds = {
          input_ids: toTensor(tokens.ids),
          ...(signature.hasMask && { attention_mask: toTensor(tokens.mask) }),
          ...(signature.hasTypes && { token_type_ids: toTensor(new Int32Array(tokens.ids.length)) }),
        };
        const outputs = await runSession(session, feeds, signature.output.name, path);
        return toNumbers(outputs[signature.output.name]?.data);
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Makes tensors of the type that the model takes. */
function createTensors(
  runtime: OnnxRuntime,
  { integers }: ModelSignature,
  { rows, length }: PaddedTokens,
): (numbers: Int32Array) => Tensor {
  return (numbers) =>
    integers === "int32"
      ? new runtime.Tensor("int32", numbers, [rows, length])
      : new runtime.Tensor("int64", BigInt64Array.from(numbers, BigInt), [rows, length]);
}

/** Float16 comes as its bits; every such number is a float32 too. */
function toNumbers(data: Tensor["data"] | undefined): Float32Array {
  if (data instanceof Float32Array) return data;
  const { buffer, byteOffset, byteLength } = data as Uint16Array;
  const numbers = new Float32Array(byteLength / 2);
  widen(new Uint8Array(buffer, byteOffset, byteLength), "F16", numbers);
  return numbers;
}

async function createSession(runtime: OnnxRuntime, path: string, threads: number): Promise<InferenceSession> {
  try {
    return await runtime.InferenceSession.create(path, {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // Batches have many shapes; a remembered memory pattern for each would only grow.
      enableMemPattern: false,
    });
  } catch (cause) {
    const message = `"${path}" cannot be loaded as an ONNX model: ${toFirstLine(cause)}`;
    throw new CorruptDataError("CORRUPT", message, { path }, { cause });
  }
}

async function runSession(
  session: InferenceSession,
  feeds: InferenceSession.FeedsType,
  output: string,
  path: string,
): Promise<InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, [output]);
  } catch (cause) {
    const [rows = 0, length = 0] = feeds["input_ids"]?.dims ?? [];
    throw new InvalidInputError(
      "FIELD_INVALID",
      `"${path}" does not take ${rows} texts of ${length} tokens: ${toFirstLine(cause)}; its tokenizer.json must be the model's own, and say under truncation.max_length how many tokens it takes`,
      { rows, length },
      { cause },
    );
  }
}

function toFirstLine(error: unknown): string {
  const [line = ""] = String(error instanceof Error ? error.message : error).split("\n");
  return line.slice(0, 300);
}
