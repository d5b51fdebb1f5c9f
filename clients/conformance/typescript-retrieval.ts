import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import { FilterSchema } from "../../src/gen/probestream/v1/catalogue_service_pb.js";
import { fromWireFilter } from "../../src/rpc/convert/filter.js";
import type {
  Client,
  Filter,
  ModelExample,
  ModelRecord,
  NewModelRecord,
  Query,
  Scalar,
  Selection,
} from "../typescript/src/index.js";
import type { Json, JsonObject } from "./conformance-case.js";

/** An error as drivers write it down. */
export type ToError = (error: ProbestreamError) => JsonObject;

interface WrittenExample {
  readonly text?: string;
  readonly model_id?: string;
  readonly representation?: { readonly space_id: string; readonly values: readonly number[] };
}

interface WrittenQuery {
  readonly positives?: readonly WrittenExample[];
  readonly negatives?: readonly WrittenExample[];
  readonly k?: number;
  readonly filter?: JsonObject;
  readonly experts?: readonly string[];
  readonly min_score?: number;
  readonly min_cosine?: number;
}

interface WrittenRecord {
  readonly model_id: string;
  readonly representation: readonly number[];
  readonly metadata?: Readonly<Record<string, Scalar>>;
}

interface Args {
  readonly queries: readonly WrittenQuery[];
  readonly with_records?: boolean;
  readonly models: readonly WrittenExample[];
  readonly labels?: readonly string[];
  readonly experts?: readonly string[];
  readonly mode?: string;
  readonly top?: number;
  readonly min_cosine?: number;
  readonly k?: number;
  readonly model_ids?: readonly string[];
  readonly weights_hashes?: readonly string[];
  readonly spaces?: readonly string[];
  readonly with_representations?: boolean;
  readonly space?: string;
  readonly filter?: JsonObject;
  readonly page_size?: number;
  readonly model_id: string;
  readonly set?: Readonly<Record<string, Scalar>>;
  readonly remove?: readonly string[];
  readonly records: readonly WrittenRecord[];
  readonly space_id: string;
  readonly expert_name?: string;
  readonly fill?: boolean;
  readonly serve?: readonly string[];
  readonly retire?: readonly string[];
}

/** The verbs of retrieval and of the catalogue, as cases name them. */
export function createRetrievalVerbs(
  toError: ToError,
): Readonly<Record<string, (client: Client, args: JsonObject) => Promise<Json>>> {
  const verbs: Readonly<Record<string, (client: Client, args: Args) => Promise<Json>>> = {
    retrieve: async (client, { queries, with_records: withRecords = false }) => {
      const answers = await client.retrieve(queries.map(toQuery), { withRecords });
      return {
        answers: answers.map((answer) => {
          if (answer instanceof ProbestreamError) return { error: toError(answer) };
          const hits = answer.hits.map(({ modelId, spaceId, cosine, score, record }) => ({
            model_id: modelId,
            space_id: spaceId,
            cosine,
            ...(score !== undefined && { score }),
            ...(record !== undefined && { record: toRecord(record) }),
          }));
          const skipped = answer.skipped.map(({ spaceId, expertName, error }) => ({
            space_id: spaceId,
            expert_name: expertName,
            error: toError(error),
          }));
          const unknownWords = answer.unknownWords.map(({ example, spaceId, words }) => {
            return { example, space_id: spaceId, words: [...words] };
          });
          return { hits, skipped, unknown_words: unknownWords };
        }),
      };
    },
    classify: async (client, { models, labels, experts, mode, top }) => {
      const answers = await client.classify(models.map(toModelExample), {
        labels,
        experts,
        ...(mode !== undefined && { mode: mode === "one_of_many" ? "one-of-many" : "any-of-many" }),
        top,
      });
      return {
        answers: answers.map((answer) =>
          answer instanceof ProbestreamError
            ? { error: toError(answer) }
            : {
                space_id: answer.spaceId,
                labels: answer.labels.map((label) => ({ ...label })),
                calibrated: answer.isCalibrated,
                unjudged: answer.unjudged.map(({ label, error }) => ({ label, error: toError(error) })),
                doubtful: answer.doubtful.map(({ label, unknownWords, isUnfamiliar }) => {
                  return { label, unknown_words: [...unknownWords], unfamiliar: isUnfamiliar };
                }),
              },
        ),
      };
    },
    find_duplicates: async (client, { model_ids: ids = [], min_cosine: minCosine, k, experts = [] }) => {
      const answers = await client.findDuplicates(ids, { minCosine, k, experts });
      return {
        answers: answers.map((answer) => {
          if (answer instanceof ProbestreamError) return { error: toError(answer) };
          const duplicates = answer.map(({ modelId, spaceId, cosine, hasSameWeights }) => ({
            model_id: modelId,
            space_id: spaceId,
            cosine,
            same_weights: hasSameWeights,
          }));
          return { duplicates };
        }),
      };
    },
    spaces: async (client) => {
      const { store, spaces } = await client.spaces();
      return {
        store,
        spaces: spaces.map(({ spaceId, expertName, width, state, count, isExpertPresent }) => ({
          space_id: spaceId,
          expert_name: expertName,
          width,
          state,
          model_count: count,
          expert_present: isExpertPresent,
        })),
      };
    },
    get: async (client, { model_ids: modelIds = [], weights_hashes: weightsHashes = [], spaces = [] }) => ({
      records: (await client.get(modelIds, { weightsHashes, spaces })).map(toFullRecord),
    }),
    list: async (client, args) => {
      const records: JsonObject[] = [];
      for await (const record of client.list({ ...toSelection(args), pageSize: args.page_size })) {
        records.push(toRecord(record));
      }
      return { records };
    },
    update: async (client, { model_id: id, set, remove }) => ({
      records: (await client.update(id, { set, remove })).map(toRecord),
    }),
    delete: async (client, { model_ids: ids = [], space }) => ({
      deleted_count: await client.delete(ids, { space }),
    }),
    export: async (client, args) => {
      const records: JsonObject[] = [];
      for await (const record of client.export(toSelection(args))) records.push(toFullRecord(record));
      return { records };
    },
    import_records: async (client, { records, space_id: spaceId, expert_name: expertName, fill }) => ({
      imported_count: await client.importRecords(records.map(toNewRecord), { spaceId, expertName, fill }),
    }),
    switch_spaces: async (client, { serve = [], retire = [] }) => {
      await client.switchSpaces(serve, retire);
      return {};
    },
    drop_space: async (client, { space_id: space }) => {
      await client.dropSpace(space);
      return {};
    },
  };
  return Object.fromEntries(
    Object.entries(verbs).map(([name, verb]) => [
      name,
      (client: Client, args: JsonObject) => verb(client, args as unknown as Args),
    ]),
  );
}

function toNewRecord({ model_id: modelId, representation, metadata = {} }: WrittenRecord): NewModelRecord {
  return { modelId, representation: Float32Array.from(representation), metadata };
}

function toSelection({ space, filter }: Args): Selection {
  return { space, filter: toFilter(filter) };
}

function toFilter(filter: JsonObject | undefined): Filter | undefined {
  return filter === undefined ? undefined : fromWireFilter(fromJson(FilterSchema, filter as JsonValue));
}

function toQuery(query: WrittenQuery): Query {
  const { positives = [], negatives = [], k, filter, experts, min_score: minScore, min_cosine: minCosine } = query;
  return {
    positives: positives.map(toExample),
    negatives: negatives.map(toExample),
    filter: toFilter(filter),
    ...{ k, experts, minScore, minCosine },
  };
}

function toExample(example: WrittenExample): string | ModelExample {
  return example.text ?? toModelExample(example);
}

function toModelExample({ model_id: modelId, representation }: WrittenExample): ModelExample {
  if (modelId !== undefined) return { modelId };
  const { space_id: spaceId = "", values = [] } = representation ?? {};
  return { spaceId, representation: values };
}

function toRecord(record: ModelRecord): JsonObject {
  const { modelId, spaceId, weightsHash, fileHash, tree, base, metadata, claims } = record;
  return {
    model_id: modelId,
    space_id: spaceId,
    weights_hash: weightsHash,
    file_hash: fileHash,
    tree,
    base,
    metadata: { ...metadata },
    claims: { ...claims },
  };
}

function toFullRecord(record: ModelRecord): JsonObject {
  return { ...toRecord(record), representation: [...(record.representation ?? [])] };
}
