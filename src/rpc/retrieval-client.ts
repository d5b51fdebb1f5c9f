import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { InternalError } from "../errors/probestream-error.js";
import { CatalogueService, type ImportModelsRequestSchema } from "../gen/probestream/v1/catalogue_service_pb.js";
import { ExampleSchema, RetrievalQuerySchema, RetrievalService } from "../gen/probestream/v1/retrieval_service_pb.js";
import { recordBytes } from "../retrieval/model-records.js";
import type { RetrievalPort } from "../retrieval/retrieval-port.js";
import type { Scalar } from "../vectors/filter.js";
import type { NewRecord } from "../vectors/vector-record.js";
import type { ClientChannel } from "./client-channel.js";
import { fromModelError } from "./convert/error.js";
import { toWireFilter } from "./convert/filter.js";
import { fromFullWireRecord, fromWireRecord, toWireMetadata, toWireRecord } from "./convert/model-record.js";
import {
  fromWireHits,
  fromWireLabelRemarks,
  fromWireScores,
  toUint32,
  toWireExample,
  toWireMode,
  toWireQuery,
} from "./convert/retrieval.js";
import type { ServerLimits } from "./convert/server-info.js";
import { fromWireSpace } from "./convert/space.js";
import { inHalves, requestBytes, toCallBatches } from "./retrieval-batches.js";

/** Hits of one call, about: some 3 MB. */
const hitsPerCall = 20_000;

/** Hits with records of one call. */
const recordsPerCall = 2_000;

/** Labels of models of one call. */
const scoresPerCall = 100_000;

/** Models that are got at a time: records may have 64 KiB of metadata. */
const modelsPerCall = 500;

/** Records of one message of an import. */
const recordsPerMessage = 500;

/** Items of one call where the server is older and does not say. */
const usualCount = 1000;

/**
 * Retrieval on a server. Batches are split so that each call keeps within what the server announces and what its answer may
 * take, and put together again.
 *
 * @param limits what the server allows; asked for where a batch is long.
 */
export function createRetrievalClient(
  { unary, serverStreaming, clientStreaming, target }: ClientChannel,
  limits: () => Promise<Pick<ServerLimits, "maxQueries">>,
): RetrievalPort {
  const maxCount = async (wanted: number): Promise<number> =>
    // Most batches are short, and need no question.
    wanted <= 100 ? usualCount : (await limits()).maxQueries || usualCount;

  return {
    retrieve: async (queries, { withRecords = false, signal } = {}) => {
      const messages = queries.map((query) => create(RetrievalQuerySchema, toWireQuery(query)));
      const bounds = {
        count: await maxCount(queries.length),
        bytes: requestBytes,
        answer: withRecords ? recordsPerCall : hitsPerCall,
      };
      const ask = async (batch: readonly (typeof messages)[number][]) => {
        const request = { queries: [...batch], withRecords };
        const { answers } = await unary(RetrievalService.method.batchRetrieve, request, signal);
        return inPlaces(batch, answers, ({ outcome }) =>
          outcome.case === "hits" ? fromWireHits(outcome.value) : outcome.case && fromModelError(outcome.value),
        );
      };
      const sizeOf = (query: (typeof messages)[number]) => ({
        bytes: toBinary(RetrievalQuerySchema, query).byteLength + 8,
        answer: query.k || 10,
      });
      return askAll([...toCallBatches(messages, sizeOf, bounds)], ask);
    },

    classify: async ({ models, labels = [], experts = [], mode, top = 0 }, signal) => {
      const messages = models.map((model) => create(ExampleSchema, toWireExample(model)));
      const request = { labels: [...labels], experts: [...experts], mode: toWireMode(mode), top: toUint32(top, "top") };
      const perModel = Math.max(1, top || labels.length || 100);
      const bounds = { count: await maxCount(models.length), bytes: requestBytes, answer: scoresPerCall };
      const ask = async (batch: readonly (typeof messages)[number][]) => {
        const response = await unary(RetrievalService.method.classify, { ...request, models: [...batch] }, signal);
        const remarksOf = fromWireLabelRemarks(response);
        return inPlaces(batch, response.answers, ({ outcome }) =>
          outcome.case === "scores"
            ? fromWireScores(outcome.value, remarksOf)
            : outcome.case && fromModelError(outcome.value),
        );
      };
      const sizeOf = (model: (typeof messages)[number]) => ({
        bytes: toBinary(ExampleSchema, model).byteLength + 8,
        answer: perModel,
      });
      return askAll([...toCallBatches(messages, sizeOf, bounds)], ask);
    },

    findDuplicates: async (modelIds, { minCosine, k = 0, experts = [], signal } = {}) => {
      const bounds = { count: await maxCount(modelIds.length), bytes: requestBytes, answer: Number.POSITIVE_INFINITY };
      const ask = async (batch: readonly string[]) => {
        const request = {
          modelIds: [...batch],
          k: toUint32(k, "k"),
          experts: [...experts],
          ...(minCosine !== undefined && { minCosine }),
        };
        const { answers } = await unary(RetrievalService.method.findDuplicates, request, signal);
        return inPlaces(batch, answers, ({ outcome }) => {
          if (outcome.case === "error") return fromModelError(outcome.value);
          return outcome.value?.duplicates.map(({ modelId, spaceId, cosine, sameWeights }) => {
            return { modelId, spaceId, cosine, hasSameWeights: sameWeights };
          });
        });
      };
      return askAll([...toCallBatches(modelIds, sizeOfText, bounds)], ask);
    },

    listSpaces: async () => {
      const { store, spaces } = await unary(CatalogueService.method.listSpaces, {});
      return { store, spaces: spaces.map(fromWireSpace) };
    },
    switchSpaces: async ({ serve, retire }) => {
      await unary(CatalogueService.method.switchSpaces, { serve: [...serve], retire: [...retire] });
    },
    dropSpace: async (space) => {
      await unary(CatalogueService.method.dropSpace, { spaceId: space });
    },

    getModels: async ({ modelIds = [], weightsHashes = [], spaces = [] }) => {
      const wanted = [
        ...modelIds.map((text) => ({ text, isId: true })),
        ...weightsHashes.map((text) => ({ text, isId: false })),
      ];
      const count = Math.min(modelsPerCall, await maxCount(wanted.length));
      const bounds = { count, bytes: requestBytes, answer: Number.POSITIVE_INFINITY };
      const ask = async (batch: readonly (typeof wanted)[number][]) => {
        const { records } = await unary(CatalogueService.method.getModels, {
          modelIds: batch.flatMap(({ text, isId }) => (isId ? [text] : [])),
          weightsHashes: batch.flatMap(({ text, isId }) => (isId ? [] : [text])),
          spaces: [...spaces],
          withRepresentations: true,
        });
        return records.map(fromFullWireRecord);
      };
      return askAll([...toCallBatches(wanted, ({ text }) => sizeOfText(text), bounds)], ask);
    },

    listModels: async ({ space = "", filter, pageSize = 0, pageToken = "" }) => {
      const { records, nextPageToken } = await unary(CatalogueService.method.listModels, {
        space,
        pageSize: toUint32(pageSize, "page_size"),
        pageToken,
        ...(filter !== undefined && { filter: toWireFilter(filter) }),
      });
      return { records: records.map(fromWireRecord), nextPageToken };
    },

    updateModel: async (modelId, patch) => {
      const set: [string, Scalar][] = [];
      const remove: string[] = [];
      for (const [name, value] of Object.entries(patch)) {
        if (value === null) remove.push(name);
        else set.push([name, value]);
      }
      const request = { modelId, set: toWireMetadata(Object.fromEntries(set)), remove };
      const { records } = await unary(CatalogueService.method.updateModel, request);
      return records.map(fromWireRecord);
    },

    deleteModels: async (modelIds, space = "") => {
      // A model that stands twice is there once.
      const ids = [...new Set(modelIds)];
      const bounds = { count: await maxCount(ids.length), bytes: requestBytes, answer: Number.POSITIVE_INFINITY };
      let deleted = 0;
      for (const batch of toCallBatches(ids, sizeOfText, bounds)) {
        const request = { modelIds: [...batch], space };
        deleted += (await unary(CatalogueService.method.deleteModels, request)).deletedCount;
      }
      return deleted;
    },

    exportModels: async function* exportModels({ space = "", filter }, signal) {
      const request = { space, ...(filter !== undefined && { filter: toWireFilter(filter) }) };
      for await (const { records } of serverStreaming(CatalogueService.method.exportModels, request, signal)) {
        yield records.map(fromFullWireRecord);
      }
    },

    importModels: async ({ spaceId, expertName, fill = false }, batches, signal) => {
      const messages = toImportMessages({ spaceId, expertName, fill }, batches);
      const { importedCount } = await clientStreaming(CatalogueService.method.importModels, messages, signal);
      return Number(importedCount);
    },
  };

  /** What came for each item; an item without an answer is a fault of the server. */
  function inPlaces<T, A, R>(items: readonly T[], answers: readonly A[], convert: (answer: A) => R | undefined): R[] {
    if (answers.length !== items.length) {
      throw new InternalError("INTERNAL", `${target} gave ${answers.length} answers to ${items.length} questions`);
    }
    return answers.map((answer) => {
      const converted = convert(answer);
      if (converted === undefined) throw new InternalError("INTERNAL", `${target} gave an empty answer`);
      return converted;
    });
  }
}

async function askAll<T, R>(
  batches: readonly (readonly T[])[],
  ask: (batch: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const answers: R[] = [];
  for (const batch of batches) answers.push(...(await inHalves(batch, ask)));
  return answers;
}

function sizeOfText(text: string): { readonly bytes: number; readonly answer: number } {
  return { bytes: Buffer.byteLength(text) + 8, answer: 1 };
}

async function* toImportMessages(
  space: { readonly spaceId: string; readonly expertName: string; readonly fill: boolean },
  batches: AsyncIterable<readonly NewRecord[]>,
): AsyncGenerator<MessageInitShape<typeof ImportModelsRequestSchema>> {
  const bounds = { count: recordsPerMessage, bytes: requestBytes, answer: Number.POSITIVE_INFINITY };
  for await (const records of batches) {
    const sizeOf = (record: NewRecord) => ({ bytes: recordBytes(record), answer: 0 });
    for (const batch of toCallBatches(records, sizeOf, bounds)) {
      yield {
        ...space,
        records: batch.map((record) => toWireRecord({ ...record, spaceId: space.spaceId }, true)),
      };
    }
  }
}
