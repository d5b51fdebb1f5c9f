import { dirname, join } from "node:path";
import { exists } from "../system/exists.js";

/** Folder beside that of the experts that is taken for a text encoder where none is named. */
const encoderName = "text-encoder";

/** Text encoders that are to be started. */
export interface EncoderPlaces {
  /** Folders, or ids of the Hugging Face Hub. */
  readonly places: readonly string[];
  /** Whether they were found rather than named. */
  readonly isFound: boolean;
}

/** The text encoders that `--text-encoder` names, or the one beside the folder of experts, if there is one. */
export async function findEncoderPlaces(named: readonly string[] | undefined, experts: string): Promise<EncoderPlaces> {
  if (named !== undefined) return { places: named, isFound: false };
  const beside = join(dirname(experts), encoderName);
  return { places: (await exists(beside)) ? [beside] : [], isFound: true };
}

/** What a server says of them at its start. */
export function toEncoderRemark({ places, isFound }: EncoderPlaces): string {
  if (places.length === 0) return "no text encoder: to search in words, give --text-encoder";
  return `text encoder ${places.join(", ")}${isFound ? " (beside the experts)" : ""}`;
}
