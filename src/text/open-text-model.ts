import type { InferenceSession, Tensor } from "onnxruntime-node";
import { CorruptDataError, InternalError, InvalidInputError } from "../errors/probestream-error.js";
import { loadOnnxRuntime, type OnnxRuntime } from "../onnx/load-onnxruntime.js";
import { type ModelSignature, selectSignature } from "./model-signature.js";

/** The ONNX model of a text encoder. */
export interface TextModel {
  readonly signature: ModelSignature;
  /**
   * Gives the vectors of token sequences, texts × width.
   *
   * @param ids token ids, and `mask` 1 for those of the text; both `rows` × `length`.
   * @throws InvalidInputError `FIELD_INVALID` if the model does not take them.
   */
  run(ids: BigInt64Array, mask: BigInt64Array, rows: number, length: number): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/**
 * Loads an ONNX model of texts.
 *
 * @throws CorruptDataError `CORRUPT` if it is none, UnavailableError `BACKEND_UNAVAILABLE` without onnxruntime-node, and
 * what {@link selectSignature} throws.
 */
export async function openTextModel(path: string, threads: number): Promise<TextModel> {
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
    const signature = selectSignature(session, path);
    return {
      signature,
      run: async (ids, mask, rows, length) => {
        if (!open) throw new InternalError("INTERNAL", "a text encoder was used after its end");
        const tensor = (numbers: BigInt64Array): Tensor => new runtime.Tensor("int64", numbers, [rows, length]);
        const feeds = {
          input_ids: tensor(ids),
          ...(signature.hasMask && { attention_mask: tensor(mask) }),
          ...(signature.hasTypes && { token_type_ids: tensor(new BigInt64Array(ids.length)) }),
        };
        const outputs = await runSession(session, feeds, signature.output, path);
        return outputs[signature.output]?.data as Float32Array;
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
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
