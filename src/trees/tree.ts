import type { Gaussian } from "../linalg/ledoit-wolf.js";
import type { SketchShape } from "./sketches/sketch.js";

/** A Model Tree as it is known by models of it: where their layers lie, and how far from there they reach. */
export interface Tree {
  /** For people, and for `parent`. */
  readonly name: string;
  /** Name of the tree whose member this one's ancestor is. */
  readonly parent?: string;
  /** Models that it was measured on. */
  readonly models: number;
  /** Of dense layers. */
  readonly centroid?: TreeCentroid;
  /** Of LoRA layers. */
  readonly moments?: TreeMoments;
  /** Of an expert's representations of its models. */
  readonly gaussian?: TreeGaussian;
}

/** A tree of dense layers. */
export type CentredTree = Tree & { readonly centroid: TreeCentroid };

/** The mean layer of a tree's models, sketched. */
export interface TreeCentroid {
  /** Of the matrix as it is stored. */
  readonly shape: SketchShape;
  /** blocks × 64: the mean of the models' sketches. */
  readonly values: Float64Array;
  /** Per block of the sketch the mean squared distance of its models. */
  readonly spread: Float64Array;
  /** Half of its models are nearer: l2 distance of the layer. */
  readonly median: number;
  /** 99.5 of a hundred models are expected to be nearer: see `toReach`. */
  readonly reach: number;
}

/**
 * The directions in which a tree's LoRA layers move its base: their mean second moment, sketched. The deltas themselves are
 * nearly orthogonal to each other within a tree as well; where they move outputs and inputs depends on the base.
 */
export interface TreeMoments {
  /** 128 × 64, of unit length: see `addMoments`. */
  readonly values: Float64Array;
  /** Half of its models are nearer: 1 − cosine. */
  readonly median: number;
  /** Distance that the tree accepts: 99.5 of a hundred models are expected to be nearer. */
  readonly reach: number;
}

/** Where an expert's representations of a tree's models lie. */
export interface TreeGaussian extends Gaussian {
  /** Half of its models are nearer: Mahalanobis distance, its root. */
  readonly median: number;
  /** 99.5 of a hundred models are expected to be nearer: see `toReach`. */
  readonly reach: number;
}

/**
 * How far a model may be moved by what people do to files without it leaving its tree, as a share of its length: rounding
 * to 8 bits moves a layer by 1 to 3 %, setting the smallest tenth of its weights to zero by 2 %.
 */
export const FILE_TOLERANCE = 0.03;

/** Greatest distance of a model that a tree accepts: its reach and what handling files adds. */
export function toRadius({ reach, values }: Pick<TreeCentroid, "reach" | "values">): number {
  const squared = values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(reach ** 2 + FILE_TOLERANCE ** 2 * squared);
}
