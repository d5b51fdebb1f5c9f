import { UnavailableError } from "../errors/probestream-error.js";

/** The package onnxruntime-node. */
export type OnnxRuntime = typeof import("onnxruntime-node");

/**
 * Loads onnxruntime-node when it is needed: everything else works where it does not load.
 *
 * @param missing what to say, and to do, if it does not.
 * @throws UnavailableError `BACKEND_UNAVAILABLE`.
 */
export async function loadOnnxRuntime(missing: string): Promise<OnnxRuntime> {
  try {
    const runtime = await import("onnxruntime-node");
    // What it logs as an error it throws as well, and a provider that is not there is none.
    runtime.env.logLevel = "fatal";
    return runtime;
  } catch (cause) {
    throw new UnavailableError("BACKEND_UNAVAILABLE", missing, { backend: "onnx" }, { cause });
  }
}
