import { Random } from "../../src/linalg/random.js";
import { writeWordEncoder } from "../../src/text/write-word-encoder.js";
import { colours, shapes, textures } from "./concepts.js";

/** How a concept's text is put to the encoder. */
export const prompt = "a picture of a {}";

const width = 48;

/** Writes the text encoder of the demo's vocabulary: words point in directions of their own, and little ones hardly do. */
export async function writeDemoEncoder(folder: string): Promise<void> {
  const random = new Random(7);
  const words = [...textures, ...Object.keys(colours), ...shapes];
  const fillers = ["a", "an", "the", "of", "picture", "photo", "image"];
  const vectors = new Float32Array((words.length + fillers.length) * width);
  vectors.set(random.spread(words.length * width, 1));
  vectors.set(random.spread(fillers.length * width, 0.02), words.length * width);
  await writeWordEncoder(folder, { words: [...words, ...fillers], vectors, width });
}
