import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { showValue } from "../../../src/errors/show-value.js";
import type { Example as PortExample, RetrievalQuery } from "../../../src/retrieval/retrieval-port.js";
import type { Filter } from "../../../src/vectors/filter.js";
import { assertOptions } from "./assert-options.js";
import { isList } from "./is-list.js";
import { type Names, toNames } from "./names.js";
import { EmbedResult } from "./results.js";

/** A model: one of the catalogue, a result of `embed`, or a representation with its space. */
export type ModelExample =
  | { readonly modelId: string }
  | { readonly spaceId: string; readonly representation: Float32Array | readonly number[] }
  | EmbedResult;

/** What a query resembles: a text as people would say it, or a model. */
export type Example = string | { readonly text: string } | ModelExample;

/** What is wanted. A text alone may stand for it. */
export interface Query {
  /** Several count as one: their mean. */
  readonly positives: Example | readonly Example[];
  /** What is not wanted. */
  readonly negatives?: Example | readonly Example[] | undefined;
  /** Models wanted. Default 10. */
  readonly k?: number | undefined;
  /** Condition on models; `where`, `and`, `or`, `not` and `exists` make one. */
  readonly filter?: Filter | undefined;
  /** Experts whose spaces are searched, by name or space id. Default all that serve. */
  readonly experts?: Names | undefined;
  /** Model Trees that models must belong to. Default any. */
  readonly trees?: Names | undefined;
  /** Score, 0 to 1, that a model has at least. */
  readonly minScore?: number | undefined;
  /** Cosine, -1 to 1, that a model has at least. */
  readonly minCosine?: number | undefined;
  /** Of models with the same base only so many best ones are kept. Default all. */
  readonly maxPerBase?: number | undefined;
  /** Look at every record, also where the store has an approximate index. */
  readonly exact?: boolean | undefined;
}

/** Fields of a query. */
export const queryFields = [
  ...["positives", "negatives", "k", "filter", "experts", "trees"],
  ...["minScore", "minCosine", "maxPerBase", "exact"],
] as const satisfies readonly (keyof Query)[];

/** A query for the wire. @throws InvalidInputError `FIELD_INVALID` for a query or an example that is none. */
export function toRetrievalQuery(query: string | Query): RetrievalQuery {
  if (query instanceof EmbedResult)
    throw invalid("a result of embed is no query by itself; give { positives: result }");
  if (typeof query !== "string") {
    const positives = 'an example goes into positives: { positives: { text: "pixel art" } }';
    assertOptions(query, queryFields, "a query", { text: positives, modelId: positives, representation: positives });
    if (query.positives === undefined)
      throw invalid("a query has no positives; say what is wanted, by text or example");
  }
  const {
    positives,
    negatives = [],
    k,
    experts,
    trees,
    ...rest
  } = typeof query === "string" ? { positives: query } : query;
  return {
    ...rest,
    positives: toExamples(positives),
    negatives: toExamples(negatives),
    ...(k !== undefined && { k }),
    ...(experts !== undefined && { experts: toNames(experts, "experts") }),
    ...(trees !== undefined && { trees: toNames(trees, "trees") }),
  };
}

/** A model for the wire. @throws as {@link toRetrievalQuery}. */
export function toModelExample(model: ModelExample): Exclude<PortExample, { readonly text: string }> {
  const example = toExample(model);
  if (!("text" in example)) return example;
  throw invalid(
    "a text cannot be classified, and an id or path alone counts as one; give a result of embed, or { modelId } for a model of the catalogue",
  );
}

function toExamples(examples: Example | readonly Example[]): PortExample[] {
  return isList(examples) ? examples.map(toExample) : [toExample(examples)];
}

function toExample(example: Example): PortExample {
  if (typeof example === "string") return { text: example };
  if (typeof example !== "object" || example === null) throw noExample(example);
  if (example instanceof EmbedResult) {
    const { spaceId, representation } = example.embedding;
    return { spaceId, representation };
  }
  if ("representation" in example) {
    return { spaceId: example.spaceId, representation: Float32Array.from(example.representation) };
  }
  if ("text" in example || "modelId" in example) return example;
  throw noExample(example);
}

function noExample(given: unknown): InvalidInputError {
  const wanted = "a text, { text }, { modelId }, { spaceId, representation } or a result of embed";
  return invalid(`an example is given as ${showValue(given)}; give ${wanted}`);
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", message);
}
