import { startTextEncoder } from "../text/start-text-encoder.js";
import type { TextEncoder } from "../text/text-encoder.js";
import type { CommandContext } from "./command-context.js";

/** Interim. */
export async function openEncoderByName(
  place: string,
  _context: Pick<CommandContext, "terminal" | "environment" | "signal">,
): Promise<TextEncoder> {
  return startTextEncoder(place);
}
