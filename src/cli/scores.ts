import type { PortEmbedding } from "../search/embed-port.js";

/** A label with its score. */
export type Score =
  | { readonly label: string; readonly cosine: number }
  | { readonly label: string; readonly probability: number };

/** Labels of a result, best first: those of the texts with their cosines, or the expert's own with probabilities. */
export function toScores(embedding: PortEmbedding, textLabels: readonly string[]): Score[] {
  const { cosines, probabilities, labels } = embedding;
  if (cosines.length > 0) {
    return rank(cosines).map((index) => ({ label: nameOf(textLabels, index), cosine: cosines[index] ?? 0 }));
  }
  return rank(probabilities).map((index) => ({ label: nameOf(labels, index), probability: probabilities[index] ?? 0 }));
}

/** The number of a score. */
export function scoreOf(score: Score): number {
  return "cosine" in score ? score.cosine : score.probability;
}

/** Indices by value, the greatest first; ties in their order. */
function rank(values: Float32Array): number[] {
  return Array.from(values.keys()).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
}

function nameOf(labels: readonly string[], index: number): string {
  return labels[index] ?? `label ${index}`;
}
