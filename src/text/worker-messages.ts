import type { PlainError } from "../errors/plain-error.js";
import type { EncodedTexts } from "./text-encoder.js";

/** What an encoding thread is started with. */
export interface EncodeWorkerSettings {
  readonly folder: string;
  readonly threads: number;
  /** URL of the module whose `openEncoder` opens the encoder. */
  readonly encoderModule: string;
}

/** Messages to an encoding thread. */
export type ToEncodeWorker =
  | { readonly type: "encode"; readonly request: number; readonly texts: readonly string[] }
  /** Nobody waits for the answer any more. */
  | { readonly type: "cancel"; readonly request: number }
  | { readonly type: "close" };

/** Messages of an encoding thread. */
export type FromEncodeWorker =
  | { readonly type: "ready"; readonly facts: EncoderFacts }
  | { readonly type: "not-opened"; readonly error: PlainError }
  | { readonly type: "encoded"; readonly request: number; readonly result: EncodedTexts }
  | { readonly type: "failed"; readonly request: number; readonly error: PlainError };

/** What an encoder says of itself. */
export interface EncoderFacts {
  readonly identity: string;
  readonly width: number;
  readonly maxTokens?: number;
}
