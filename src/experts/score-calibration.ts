import type { Expert } from "./expert.js";

/** What a query is made of, which decides how far its cosines lie apart. */
export type QueryKind = "text" | "example";

/** Says what cosines of one expert's space mean; stored with the expert. */
export interface ScoreCalibration {
  /**
   * Makes the scale of one query.
   *
   * @param query in the space of representations, at unit length, r_T numbers.
   * @returns from the cosine of query and model to the probability that the model is what the query means; rises with it.
   */
  toScorer(query: Float32Array, kind: QueryKind): (cosine: number) => number;
  /** Probabilities of labels of which one is right, from their cosines with one representation. They add up to 1. */
  toOneOfMany(cosines: Float32Array): Float64Array;
  /** Probabilities of labels each right or wrong by itself, from `values`: cosines, or logits of a classification expert. */
  toAnyOfMany(values: Float32Array, queries: readonly Float32Array[] | undefined): Float64Array;
  /**
   * Whether the expert can judge a text, by the text encoder's vector of it (d_text numbers): `distance` from what it was
   * trained on, and the `radius` within which it can.
   */
  judgeText(vector: Float32Array): { readonly distance: number; readonly radius: number };
}

/**
 * Reads the calibration of an expert; undefined if it has none.
 *
 * @throws CorruptDataError `CORRUPT` if what is stored is damaged or belongs to another expert.
 */
export type ReadScoreCalibration = (expert: Expert) => Promise<ScoreCalibration | undefined>;
