import type { Rows } from "../linalg/rows.js";
import type { Objective } from "./checkpoint.js";

/** A scale of cosines: the logarithm of the odds of a match is z·(deviations above the query's background) + cosine·c + offset. */
export interface ScoreScale {
  /** At least 0. */
  readonly z: number;
  /** At least 0; not both are 0. */
  readonly cosine: number;
  readonly offset: number;
}

/** Something that differs for labels that an expert was trained on and for those that it never saw. */
export interface BySight<T> {
  readonly seen?: T;
  readonly unseen?: T;
}

/** What scores are multiplied by before softmax, and what is then added to those of new labels. */
export interface LabelSoftmax extends BySight<number> {
  /**
   * Where both are there: a model of a new label is nearer to some known one than to its own, and would else be taken for
   * that. Gives new labels as many models, of those it was fitted to, as have one.
   */
  readonly offset?: number;
}

/** What is stored of an expert's scores. */
export interface ScoreModel {
  readonly objective: Objective;
  /** Representations of models of the expert's tree at unit length, n × r_T: what a query's cosines are usually like. */
  readonly background: Rows;
  /** Labels that the expert was trained on. */
  readonly labels: readonly string[];
  /** The query of each, at unit length, labels × r_T: texts in the expert's space, or rows of its classification head. */
  readonly queries: Rows;
  /** Vectors of texts that the expert was trained on at unit length, at most 2,048 of them; none for classification. */
  readonly texts: Rows;
  /** Greatest distance of a text that the expert judges, 1 − cosine to the nearest of `texts`; 0 without these. */
  readonly radius: number;
  /** 1 − cosine to the nearest of `queries` from which on a query is new, as the labels that were held out. */
  readonly novelty: number;
  /** Of text queries. */
  readonly text: BySight<ScoreScale>;
  /** Of models as queries. */
  readonly example?: ScoreScale;
  /** Of cosines, or logits. */
  readonly oneOfMany: LabelSoftmax;
  /** Of a classification expert: log odds = slope · logit + offset. */
  readonly anyOfMany?: { readonly slope: number; readonly offset: number };
}

/** Scale where none was fitted: between those that were measured for experts of LoRAs of pictures and of language. */
export const USUAL_SCALE: ScoreScale = { z: 2.5, cosine: 0, offset: -8 };
/** What cosines are multiplied by where that was not fitted: 9 to 66 was measured. */
export const USUAL_SOFTMAX = 20;
