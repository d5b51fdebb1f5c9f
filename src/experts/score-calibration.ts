import type { Expert } from "./expert.js";

/** What a query is made of, which decides how far its cosines lie apart. */
export type QueryKind = "text" | "example";

/** Whether one of several labels is right, or each by itself is right or wrong. */
export type LabelMode = "one-of-many" | "any-of-many";

/** Says what cosines of one expert's space mean; stored with the expert. */
export interface ScoreCalibration {
  /** Bytes that it keeps in memory, about. */
  readonly byteLength: number;
  /**
   * Which scales were fitted to models whose labels were known: those of text queries, of examples, and of labels to
   * choose from. The others are the usual ones of other experts: scores rank and compare, but are no probabilities.
   */
  readonly fitted: Readonly<Record<QueryKind | "labels", boolean>>;
  /**
   * The query that stands for a label of the expert's bank, at unit length, r_T numbers; undefined for any other text. A
   * classification expert has no text head: this is how it answers to its labels in words.
   */
  labelQuery(label: string): Float32Array | undefined;
  /**
   * Makes the scale of one query.
   *
   * @param query in the space of representations, at unit length, r_T numbers.
   * @returns from the cosine of query and model to the probability that the model is what the query means; rises with it.
   */
  toScorer(query: Float32Array, kind: QueryKind): (cosine: number) => number;
  /**
   * Makes the judge of one list of labels, once for all models that are asked about them. `one-of-many`: one of the labels is
   * right, and their probabilities add up to 1; `any-of-many`: each is right or wrong by itself.
   *
   * @param queries of a zero-shot expert the labels' texts in its space, at unit length: labels that it was not trained on
   * are told with less certainty, and beside known ones gain what the expert's preference for those takes from them, so
   * that a label of a lower cosine may come first. For `one-of-many` all labels count as known to it without them. A classification expert
   * needs none.
   * @param pace is called after each label, each of which costs its cosines with all labels that the expert was trained on.
   * @returns from cosines with one representation, or logits of a classification expert, in the order of the labels, to
   * probabilities in that order. The function throws InvalidInputError `FIELD_INVALID` where a zero-shot expert lacks the
   * query of a value.
   * @throws what `pace` throws.
   */
  toLabelJudge(
    mode: LabelMode,
    queries: readonly Float32Array[] | undefined,
    pace?: () => Promise<void>,
  ): Promise<(values: Float32Array) => Float64Array>;
  /**
   * Whether labels are of a kind that the expert was trained on: each is no farther from the nearest known label than 99 %
   * of these are from another one, with an allowance of a tenth. Tells labels whose words are known and whose meaning in the
   * expert's space is not. Of an expert of pictures with labels such as "plain red circle", whose bound is 0.227, all of 60
   * such that were held out are familiar, at 0.014 to 0.189; "circle", "square" and "ring" are not, at 0.419 to 0.503;
   * "red circle", at 0.102, is, though it is told no better. All labels are familiar where fewer than two
   * labels are known.
   *
   * @param queries of the labels in the expert's space, at unit length; what they were found to be is remembered, so that an
   * array must not be given other numbers.
   * @param pace is called after each label, and the first time after each of up to 256 known ones.
   * @throws what `pace` throws.
   */
  areFamiliar(queries: readonly Float32Array[], pace?: () => Promise<void>): Promise<readonly boolean[]>;
  /**
   * Whether the expert can judge a text, by the text encoder's vector of it (d_text numbers): `distance` from what it was
   * trained on, and the `radius` within which it can. A text of no known words, all zeros, is at the distance 2, farther
   * than any radius; an expert without texts has the radius 0 and judges none.
   */
  judgeText(vector: Float32Array): { readonly distance: number; readonly radius: number };
}

/**
 * Reads the calibration of an expert; undefined if it has none.
 *
 * @throws CorruptDataError `CORRUPT` if what is stored is damaged or belongs to another expert.
 */
export type ReadScoreCalibration = (expert: Expert) => Promise<ScoreCalibration | undefined>;
