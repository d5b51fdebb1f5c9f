import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";
import { assertId, assertVector } from "../vectors/assert-records.js";
import { assertText } from "../vectors/assert-text.js";
import { defaultHits, maxHits } from "./limits.js";
import type { Example, RetrievalQuery } from "./retrieval-port.js";

/** Most examples of one query, positives and negatives each. */
const maxExamples = 1000;

/** Most experts or trees that one query names. */
const maxNames = 256;

/** Longest text that is compared, in UTF-16 units: what text encoders take. */
const maxTextUnits = 65_536;

/** A query that was looked through. */
export interface SoundQuery extends RetrievalQuery {
  readonly negatives: readonly Example[];
  readonly k: number;
  readonly experts: readonly string[];
  readonly trees: readonly string[];
  readonly maxPerBase: number;
}

/**
 * Looks a query through, by itself: whether its models and spaces exist is found out later.
 *
 * @throws InvalidInputError `FIELD_INVALID`, `NON_FINITE`; LimitExceededError `LIMIT_EXCEEDED`.
 */
export function toSoundQuery(query: RetrievalQuery): SoundQuery {
  const { positives, negatives = [], k = defaultHits, experts = [], trees = [], maxPerBase = 0 } = query;
  if (positives.length === 0) {
    throw new InvalidInputError("FIELD_INVALID", "the query has no positives; give one example of what is wanted");
  }
  assertWhole(k, 1, maxHits, "k");
  assertWhole(maxPerBase, 0, maxHits, "max_per_base");
  assertBetween(query.minScore, 0, 1, "min_score");
  assertBetween(query.minCosine, -1, 1, "min_cosine");
  assertLength(positives.length, maxExamples, "positives");
  assertLength(negatives.length, maxExamples, "negatives");
  assertLength(experts.length, maxNames, "experts");
  assertLength(trees.length, maxNames, "trees");
  if (experts.includes("")) throw new InvalidInputError("FIELD_INVALID", "experts has an empty name");
  if (trees.includes("")) throw new InvalidInputError("FIELD_INVALID", "trees has an empty name");
  for (const example of [...positives, ...negatives]) assertExample(example);
  return { ...query, positives, negatives, k, experts, trees, maxPerBase };
}

/** Guards one example. Throws like {@link toSoundQuery}. */
export function assertExample(example: Example): void {
  if ("text" in example) assertQueryText(example.text, "a text of the query");
  else if ("modelId" in example) assertId(example.modelId, "the model id of an example");
  else assertRepresentation(example.representation, example.spaceId);
}

/** Guards a text that is to be compared. Throws like {@link toSoundQuery}. */
export function assertQueryText(text: string, what: string): void {
  assertText(text, what, maxTextUnits);
  if (text.trim() === "") throw new InvalidInputError("FIELD_INVALID", `${what} is empty; say what is wanted`);
}

function assertRepresentation(representation: Float32Array, spaceId: string): void {
  if (spaceId === "") {
    throw new InvalidInputError("FIELD_INVALID", "a representation has no space_id; say in which space it lies");
  }
  // Whether it is as wide as its space is found out when that is known.
  assertVector(representation, "a representation of the query", representation.length, {});
}

/** Guards a whole number. */
export function assertWhole(found: number, least: number, most: number, what: string): void {
  if (Number.isInteger(found) && found >= least && found <= most) return;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `${what} is ${found}; it must be a whole number from ${least} to ${most}`,
    {
      found: String(found),
    },
  );
}

/** Guards a bound that may be absent. */
export function assertBetween(found: number | undefined, least: number, most: number, what: string): void {
  if (found === undefined || (found >= least && found <= most)) return;
  throw new InvalidInputError("FIELD_INVALID", `${what} is ${found}; it must be from ${least} to ${most}`, {
    found: String(found),
  });
}

function assertLength(found: number, limit: number, what: string): void {
  if (found <= limit) return;
  throw new LimitExceededError("LIMIT_EXCEEDED", `the query has ${found} ${what}; ${limit} are allowed`, {
    found,
    limit,
  });
}
