import type { MessageInitShape } from "@bufbuild/protobuf";
import { InvalidInputError } from "../../errors/probestream-error.js";
import {
  ClassifyMode,
  type ClassifyResponse,
  type ClassifyResponseSchema,
  type ExampleSchema,
  type LabelScoresSchema,
  type QueryHitsSchema,
  type RetrievalQuerySchema,
  type Example as WireExample,
  type QueryHits as WireHits,
  type RetrievalQuery as WireQuery,
  type LabelScores as WireScores,
} from "../../gen/probestream/v1/retrieval_service_pb.js";
import type { ModelError } from "../../gen/probestream/v1/types_pb.js";
import type {
  ClassifyQuestion,
  DoubtfulLabel,
  Example,
  LabelScores,
  ModelHit,
  QueryHits,
  RetrievalQuery,
  UnjudgedLabel,
} from "../../retrieval/retrieval-port.js";
import { float32Bytes } from "../../weights/safetensors-writer.js";
import { fromModelError } from "./error.js";
import { fromWireFilter, toWireFilter } from "./filter.js";
import { fromRepresentation, fromWireRecord, toWireRecord } from "./model-record.js";

/**
 * A query from the wire.
 *
 * @throws InvalidInputError, LimitExceededError: the error of this query alone.
 */
export function fromWireQuery(query: WireQuery): RetrievalQuery {
  const { positives, negatives, k, filter, experts, trees, minScore, minCosine, maxPerBase, exact } = query;
  return {
    positives: positives.map(fromWireExample),
    negatives: negatives.map(fromWireExample),
    ...(k !== 0 && { k }),
    filter: fromWireFilter(filter),
    experts,
    trees,
    minScore,
    minCosine,
    maxPerBase,
    exact,
  };
}

/** A query for the wire. */
export function toWireQuery(query: RetrievalQuery): MessageInitShape<typeof RetrievalQuerySchema> {
  const { positives, negatives = [], k = 0, filter, experts = [], trees = [], minScore, minCosine } = query;
  const { maxPerBase = 0, exact = false } = query;
  return {
    positives: positives.map(toWireExample),
    negatives: negatives.map(toWireExample),
    k: toUint32(k, "k"),
    experts: [...experts],
    trees: [...trees],
    maxPerBase: toUint32(maxPerBase, "max_per_base"),
    exact,
    ...(filter !== undefined && { filter: toWireFilter(filter) }),
    ...(minScore !== undefined && { minScore }),
    ...(minCosine !== undefined && { minCosine }),
  };
}

/** An example from the wire. Throws like {@link fromWireQuery}. */
export function fromWireExample({ kind }: WireExample): Example {
  switch (kind.case) {
    case "text":
      return { text: kind.value };
    case "modelId":
      return { modelId: kind.value };
    case "representation":
      return {
        spaceId: kind.value.spaceId,
        representation: fromRepresentation(kind.value.values, "an example"),
      };
    default:
      throw new InvalidInputError("FIELD_INVALID", "an example holds neither text nor model_id nor representation");
  }
}

/** An example for the wire. */
export function toWireExample(example: Example): MessageInitShape<typeof ExampleSchema> {
  if ("text" in example) return { kind: { case: "text", value: example.text } };
  if ("modelId" in example) return { kind: { case: "modelId", value: example.modelId } };
  const { spaceId, representation } = example;
  return { kind: { case: "representation", value: { spaceId, values: float32Bytes(representation) } } };
}

/** Hits for the wire. `toError` packs the errors of spaces that were skipped. */
export function toWireHits(
  { hits, skipped, truncated, unknownWords }: QueryHits,
  toError: (error: unknown) => ModelError,
): MessageInitShape<typeof QueryHitsSchema> {
  return {
    hits: hits.map(({ modelId, spaceId, cosine, score, record }) => ({
      modelId,
      spaceId,
      cosine,
      ...(score !== undefined && { score }),
      ...(record !== undefined && { record: toWireRecord(record, false) }),
    })),
    skipped: skipped.map(({ spaceId, expertName, error }) => ({ spaceId, expertName, error: toError(error) })),
    truncated: truncated.map((one) => ({ ...one })),
    unknownWords: unknownWords.map(({ words, ...rest }) => ({ ...rest, words: [...words] })),
  };
}

/** Hits from the wire. */
export function fromWireHits({ hits, skipped, truncated, unknownWords }: WireHits): QueryHits {
  return {
    hits: hits.map(
      ({ modelId, spaceId, cosine, score, record }): ModelHit => ({
        modelId,
        spaceId,
        cosine,
        ...(score !== undefined && { score }),
        ...(record !== undefined && { record: fromWireRecord(record) }),
      }),
    ),
    skipped: skipped.flatMap(({ spaceId, expertName, error }) =>
      error === undefined ? [] : [{ spaceId, expertName, error: fromModelError(error) }],
    ),
    truncated: truncated.map(({ example, spaceId, tokenCount, maxTokens }) => ({
      ...{ example, spaceId, tokenCount, maxTokens },
    })),
    unknownWords: unknownWords.map(({ example, spaceId, words }) => ({ example, spaceId, words })),
  };
}

const modes = {
  "one-of-many": ClassifyMode.ONE_OF_MANY,
  "any-of-many": ClassifyMode.ANY_OF_MANY,
} as const satisfies Record<NonNullable<ClassifyQuestion["mode"]>, ClassifyMode>;
const modeNames = Object.keys(modes) as (keyof typeof modes)[];

/**
 * A mode from the wire; undefined where it is not set.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a number that stands for none.
 */
export function fromWireMode(mode: ClassifyMode): ClassifyQuestion["mode"] {
  if (mode === ClassifyMode.UNSPECIFIED) return undefined;
  const name = modeNames.find((one) => modes[one] === mode);
  if (name !== undefined) return name;
  throw new InvalidInputError("FIELD_INVALID", `mode is ${mode}, which is none`, { mode });
}

/** A mode for the wire. */
export function toWireMode(mode: ClassifyQuestion["mode"]): ClassifyMode {
  return mode === undefined ? ClassifyMode.UNSPECIFIED : modes[mode];
}

/** A model that is to be classified, from the wire. Throws like {@link fromWireQuery}. */
export function fromWireModel(example: WireExample): ClassifyQuestion["models"][number] {
  const model = fromWireExample(example);
  if (!("text" in model)) return model;
  throw new InvalidInputError("FIELD_INVALID", "a text cannot be classified; name a model or give its representation");
}

/** What is said of the labels of a space. */
type LabelRemarks = Pick<LabelScores, "unjudged" | "doubtful">;

/** Labels of a model for the wire. */
export function toWireScores({
  spaceId,
  labels,
  isCalibrated,
}: LabelScores): MessageInitShape<typeof LabelScoresSchema> {
  return { spaceId, labels: labels.map((label) => ({ ...label })), calibrated: isCalibrated };
}

/** What is said of labels, once for each space, for the wire. `toError` packs the errors of those that are not judged. */
export function toWireLabelRemarks(
  spaces: Iterable<LabelScores>,
  toError: (error: unknown) => ModelError,
): Pick<MessageInitShape<typeof ClassifyResponseSchema>, "unjudged" | "doubtful"> {
  const all = [...spaces];
  return {
    unjudged: all.flatMap(({ spaceId, unjudged }) =>
      unjudged.map(({ label, error }) => ({ spaceId, label, error: toError(error) })),
    ),
    doubtful: all.flatMap(({ spaceId, doubtful }) =>
      doubtful.map(({ label, unknownWords, isUnfamiliar }) => {
        return { spaceId, label, unknownWords: [...unknownWords], unfamiliar: isUnfamiliar };
      }),
    ),
  };
}

/** What is said of the labels of each space, from the wire. */
export function fromWireLabelRemarks({
  unjudged,
  doubtful,
}: Pick<ClassifyResponse, "unjudged" | "doubtful">): (spaceId: string) => LabelRemarks {
  const bySpace = new Map<string, { unjudged: UnjudgedLabel[]; doubtful: DoubtfulLabel[] }>();
  const of = (spaceId: string): { unjudged: UnjudgedLabel[]; doubtful: DoubtfulLabel[] } => {
    const own = bySpace.get(spaceId) ?? { unjudged: [], doubtful: [] };
    bySpace.set(spaceId, own);
    return own;
  };
  for (const { spaceId, label, error } of unjudged) {
    if (error !== undefined) of(spaceId).unjudged.push({ label, error: fromModelError(error) });
  }
  for (const { spaceId, label, unknownWords, unfamiliar } of doubtful) {
    of(spaceId).doubtful.push({ label, unknownWords, isUnfamiliar: unfamiliar });
  }
  return of;
}

/** Labels of a model from the wire, with what is said of those of its space. */
export function fromWireScores(
  { spaceId, labels, calibrated }: WireScores,
  remarksOf: (spaceId: string) => LabelRemarks,
): LabelScores {
  return {
    spaceId,
    isCalibrated: calibrated,
    ...remarksOf(spaceId),
    labels: labels.map(({ label, probability, cosine }) => ({
      label,
      ...(probability !== undefined && { probability }),
      ...(cosine !== undefined && { cosine }),
    })),
  };
}

/** A number that the wire can carry; what it means is the server's to say. */
export function toUint32(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 32) return value;
  throw new InvalidInputError("FIELD_INVALID", `${what} is ${value}; it must be a whole number from 0`, {
    found: String(value),
  });
}
