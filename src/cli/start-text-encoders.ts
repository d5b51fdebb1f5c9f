import type { TextEncoder } from "../text/text-encoder.js";
import type { CommandContext } from "./command-context.js";
import { openEncoderByName } from "./open-encoder-by-name.js";

/**
 * Starts text encoders, each in a thread of its own. If one does not start, the others are stopped again.
 *
 * @param places folders, or ids of the Hugging Face Hub.
 * @throws what starting the first that fails throws.
 */
export async function startTextEncoders(
  places: readonly string[],
  context: Pick<CommandContext, "terminal" | "environment" | "signal">,
): Promise<readonly TextEncoder[]> {
  const outcomes = await Promise.allSettled(places.map((place) => openEncoderByName(place, context)));
  const encoders = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed === undefined) return encoders;
  await Promise.all(encoders.map((encoder) => encoder.dispose()));
  throw failed.reason;
}
