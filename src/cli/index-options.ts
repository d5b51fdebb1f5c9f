import type { Scalar } from "../vectors/filter.js";
import type { RetrievalOptions } from "./retrieval-options.js";

/** Options of `index`, as the command line gives them. */
export interface IndexOptions extends RetrievalOptions {
  readonly list?: string;
  readonly expert?: readonly string[];
  readonly idPrefix?: string;
  readonly meta?: Readonly<Record<string, Scalar>>;
  readonly metadata?: string;
  readonly base?: string;
  readonly again?: boolean;
  readonly skipCopies?: boolean;
  readonly fill?: boolean;
  readonly queue?: string;
  readonly hashFiles?: boolean;
  readonly concurrency: number;
  readonly json?: boolean;
  readonly private?: boolean;
  readonly quiet?: boolean;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
}
