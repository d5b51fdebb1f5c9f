import { create } from "@bufbuild/protobuf";
import { ProbestreamError } from "../../errors/probestream-error.js";
import {
  type BatchRetrieveRequestSchema,
  type BatchRetrieveResponseSchema,
  ClassifyAnswerSchema,
  type ClassifyRequestSchema,
  type ClassifyResponseSchema,
  DuplicatesAnswerSchema,
  type FindDuplicatesRequestSchema,
  type FindDuplicatesResponseSchema,
  QueryAnswerSchema,
} from "../../gen/probestream/v1/retrieval_service_pb.js";
import type { ModelError } from "../../gen/probestream/v1/types_pb.js";
import { assertCount } from "../../retrieval/assert-count.js";
import type { RetrievalLimits } from "../../retrieval/limits.js";
import type { LabelScores, RetrievalPort } from "../../retrieval/retrieval-port.js";
import { assertAnswerSize, sizeOfHits, sizeOfLabelRemarks, sizeOfScores } from "../answer-size.js";
import type { Unary } from "../call.js";
import {
  fromWireMode,
  fromWireModel,
  fromWireQuery,
  toWireHits,
  toWireLabelRemarks,
  toWireScores,
} from "../convert/retrieval.js";
import { type ReportFault, toPublicModelError } from "../to-status.js";
import { tryTo } from "../try-to.js";

/** Handlers of the retrieval service. */
export interface RetrievalService {
  readonly batchRetrieve: Unary<typeof BatchRetrieveRequestSchema, typeof BatchRetrieveResponseSchema>;
  readonly classify: Unary<typeof ClassifyRequestSchema, typeof ClassifyResponseSchema>;
  readonly findDuplicates: Unary<typeof FindDuplicatesRequestSchema, typeof FindDuplicatesResponseSchema>;
}

/**
 * Creates the handlers.
 *
 * @param retrieval throws `STORE_MISSING` without a store.
 */
export function createRetrievalService(
  retrieval: () => RetrievalPort,
  limits: RetrievalLimits,
  report: ReportFault,
): RetrievalService {
  const toError = (error: unknown): ModelError => toPublicModelError(error, report);
  return {
    batchRetrieve: async ({ queries, withRecords }, signal) => {
      const port = retrieval();
      assertCount(queries.length, limits.maxQueries, "queries");
      const outcomes = await answerSound(
        queries.map((query) => tryTo(() => fromWireQuery(query))),
        (sound) => port.retrieve(sound, { withRecords, signal }),
      );
      let bytes = 0;
      for (const outcome of outcomes) if (!(outcome instanceof ProbestreamError)) bytes += sizeOfHits(outcome);
      assertAnswerSize(bytes, "queries, a smaller k, or no records");
      return {
        answers: outcomes.map((outcome) =>
          create(QueryAnswerSchema, {
            outcome:
              outcome instanceof ProbestreamError
                ? { case: "error", value: toError(outcome) }
                : { case: "hits", value: toWireHits(outcome, toError) },
          }),
        ),
      };
    },

    classify: async ({ models, labels, experts, mode, top }, signal) => {
      const port = retrieval();
      assertCount(models.length, limits.maxQueries, "models");
      const question = { labels, experts, mode: fromWireMode(mode), top };
      const outcomes = await answerSound(
        models.map((model) => tryTo(() => fromWireModel(model))),
        (sound) => port.classify({ ...question, models: sound }, signal),
      );
      let bytes = 0;
      // What is said of labels is the same for all models of a space.
      const spaces = new Map<string, LabelScores>();
      for (const outcome of outcomes) {
        if (outcome instanceof ProbestreamError) continue;
        bytes += sizeOfScores(outcome);
        spaces.set(outcome.spaceId, outcome);
      }
      for (const one of spaces.values()) bytes += sizeOfLabelRemarks(one);
      assertAnswerSize(bytes, "models or labels, or a smaller top");
      return {
        answers: outcomes.map((outcome) =>
          create(ClassifyAnswerSchema, {
            outcome:
              outcome instanceof ProbestreamError
                ? { case: "error", value: toError(outcome) }
                : { case: "scores", value: toWireScores(outcome) },
          }),
        ),
        ...toWireLabelRemarks(spaces.values(), toError),
      };
    },

    findDuplicates: async ({ modelIds, minCosine, k, experts }, signal) => {
      const outcomes = await retrieval().findDuplicates(modelIds, {
        minCosine,
        experts,
        signal,
        ...(k !== 0 && { k }),
      });
      const found = outcomes.flatMap((outcome) => (outcome instanceof ProbestreamError ? [] : outcome));
      const bytes = found.reduce((sum, { modelId }) => sum + 100 + Buffer.byteLength(modelId), 0);
      assertAnswerSize(bytes, "models, or a smaller k");
      return {
        answers: outcomes.map((outcome) =>
          create(DuplicatesAnswerSchema, {
            outcome:
              outcome instanceof ProbestreamError
                ? { case: "error", value: toError(outcome) }
                : {
                    case: "duplicates",
                    value: {
                      duplicates: outcome.map(({ hasSameWeights, ...rest }) => ({
                        ...rest,
                        sameWeights: hasSameWeights,
                      })),
                    },
                  },
          }),
        ),
      };
    },
  };
}

/** Answers those items that could be read, all at once; the errors of the others stay in their places. */
async function answerSound<A, B>(
  items: readonly (A | ProbestreamError)[],
  answer: (sound: readonly A[]) => Promise<readonly (B | ProbestreamError)[]>,
): Promise<readonly (B | ProbestreamError)[]> {
  const sound = items.filter((item): item is A => !(item instanceof ProbestreamError));
  const answers = sound.length === 0 ? [] : await answer(sound);
  let next = 0;
  return items.map((item) => (item instanceof ProbestreamError ? item : (answers[next++] as B | ProbestreamError)));
}
