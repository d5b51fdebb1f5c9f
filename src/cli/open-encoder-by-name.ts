import { availableParallelism } from "node:os";
import { type StartTextEncoderOptions, startTextEncoder } from "../text/start-text-encoder.js";
import type { TextEncoder } from "../text/text-encoder.js";
import type { CommandContext } from "./command-context.js";
import { findEncoderFolder } from "./find-encoder-folder.js";

/**
 * Starts a text encoder in a thread of its own, with as many threads of arithmetic as there are cores.
 *
 * @param place a folder, or the id of a model of the Hugging Face Hub: see {@link findEncoderFolder}.
 * @throws what findEncoderFolder and {@link startTextEncoder} throw.
 */
export async function openEncoderByName(
  place: string,
  context: Pick<CommandContext, "terminal" | "environment" | "signal">,
  options: StartTextEncoderOptions = {},
): Promise<TextEncoder> {
  const folder = await findEncoderFolder(place, context);
  return startTextEncoder(folder, { threads: availableParallelism(), ...options });
}
