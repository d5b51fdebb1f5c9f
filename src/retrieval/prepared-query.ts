import type { Filter } from "../vectors/filter.js";
import type { SkippedSpace, TruncatedExample, UnknownWords } from "./retrieval-port.js";

/** A query in one space. */
export interface SpaceQuery {
  readonly spaceId: string;
  readonly expertName: string;
  /** At unit length, r_T numbers. */
  readonly vector: Float32Array;
  readonly filter: Filter | undefined;
  /** From cosine to calibrated score; absent where the expert has no calibration. */
  readonly scorer: ((cosine: number) => number) | undefined;
}

/** A query with all that is needed to search. */
export interface PreparedQuery {
  readonly k: number;
  readonly minScore: number | undefined;
  readonly minCosine: number | undefined;
  readonly maxPerBase: number;
  readonly exact: boolean;
  /** Models that it names, which are not among its hits. */
  readonly excluded: ReadonlySet<string>;
  /** One at least. */
  readonly spaces: readonly SpaceQuery[];
  readonly skipped: readonly SkippedSpace[];
  readonly truncated: readonly TruncatedExample[];
  readonly unknownWords: readonly UnknownWords[];
}
