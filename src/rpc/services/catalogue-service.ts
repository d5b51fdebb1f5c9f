import { InvalidInputError } from "../../errors/probestream-error.js";
import type {
  DeleteModelsRequestSchema,
  DeleteModelsResponseSchema,
  DropSpaceRequestSchema,
  DropSpaceResponseSchema,
  ExportModelsRequestSchema,
  ExportModelsResponseSchema,
  GetModelsRequestSchema,
  GetModelsResponseSchema,
  ImportModelsRequest,
  ImportModelsRequestSchema,
  ImportModelsResponseSchema,
  ListModelsRequestSchema,
  ListModelsResponseSchema,
  ListSpacesRequestSchema,
  ListSpacesResponseSchema,
  SwitchSpacesRequestSchema,
  SwitchSpacesResponseSchema,
  UpdateModelRequestSchema,
  UpdateModelResponseSchema,
} from "../../gen/probestream/v1/catalogue_service_pb.js";
import type { RetrievalPort } from "../../retrieval/retrieval-port.js";
import { unlessAborted } from "../../search/unless-aborted.js";
import type { NewRecord } from "../../vectors/vector-record.js";
import { assertAnswerSize, sizeOfRecord } from "../answer-size.js";
import type { ClientStreaming, Incoming, ServerStreaming, Unary } from "../call.js";
import { fromWireFilter } from "../convert/filter.js";
import { fromImportedRecord, fromWireMetadata, toWireRecord } from "../convert/model-record.js";
import { toWireSpace } from "../convert/space.js";
import { createIdleTimer, nextUnless, toEndError } from "../next-message.js";

/** Handlers of the catalogue service. */
export interface CatalogueService {
  readonly listSpaces: Unary<typeof ListSpacesRequestSchema, typeof ListSpacesResponseSchema>;
  readonly switchSpaces: Unary<typeof SwitchSpacesRequestSchema, typeof SwitchSpacesResponseSchema>;
  readonly dropSpace: Unary<typeof DropSpaceRequestSchema, typeof DropSpaceResponseSchema>;
  readonly getModels: Unary<typeof GetModelsRequestSchema, typeof GetModelsResponseSchema>;
  readonly listModels: Unary<typeof ListModelsRequestSchema, typeof ListModelsResponseSchema>;
  readonly updateModel: Unary<typeof UpdateModelRequestSchema, typeof UpdateModelResponseSchema>;
  readonly deleteModels: Unary<typeof DeleteModelsRequestSchema, typeof DeleteModelsResponseSchema>;
  readonly exportModels: ServerStreaming<typeof ExportModelsRequestSchema, typeof ExportModelsResponseSchema>;
  readonly importModels: ClientStreaming<typeof ImportModelsRequestSchema, typeof ImportModelsResponseSchema>;
}

/** What the handlers need to know of the server. */
export interface CatalogueServiceOptions {
  /** A stream that moves nothing for so long is ended, in milliseconds. */
  readonly streamIdleMs: number;
  /** Aborted when the server gives open streams up. */
  readonly closing: AbortSignal;
}

/**
 * Creates the handlers.
 *
 * @param retrieval throws `STORE_MISSING` without a store.
 */
export function createCatalogueService(
  retrieval: () => RetrievalPort,
  { streamIdleMs, closing }: CatalogueServiceOptions,
): CatalogueService {
  return {
    listSpaces: async () => {
      const { store, spaces } = await retrieval().listSpaces();
      return { store, spaces: spaces.map(toWireSpace) };
    },
    switchSpaces: async ({ serve, retire }) => {
      await retrieval().switchSpaces({ serve, retire });
      return {};
    },
    dropSpace: async ({ spaceId }) => {
      if (spaceId === "") throw new InvalidInputError("FIELD_INVALID", "space_id is empty; name the space to remove");
      await retrieval().dropSpace(spaceId);
      return {};
    },
    getModels: async ({ modelIds, weightsHashes, spaces, withRepresentations }) => {
      const records = await retrieval().getModels({ modelIds, weightsHashes, spaces });
      const bytes = records.reduce(
        (sum, record) => sum + sizeOfRecord(record) + (withRepresentations ? record.vector.byteLength : 0),
        0,
      );
      assertAnswerSize(bytes, "models, or no representations");
      return { records: records.map((record) => toWireRecord(record, withRepresentations)) };
    },
    listModels: async ({ space, filter, pageSize, pageToken, withRepresentations }) => {
      const { records, nextPageToken } = await retrieval().listModels({
        space: space === "" ? undefined : space,
        filter: fromWireFilter(filter),
        pageSize,
        pageToken,
      });
      return { records: records.map((record) => toWireRecord(record, withRepresentations)), nextPageToken };
    },
    updateModel: async ({ modelId, set, remove }) => {
      const both = remove.find((name) => Object.hasOwn(set, name));
      if (both !== undefined) {
        throw new InvalidInputError("FIELD_INVALID", `the field "${both.slice(0, 80)}" is both set and taken away`);
      }
      const removed = Object.fromEntries(remove.map((name) => [name, null]));
      const records = await retrieval().updateModel(modelId, { ...fromWireMetadata(set), ...removed });
      return { records: records.map((record) => toWireRecord(record, false)) };
    },
    deleteModels: async ({ modelIds, space }) => {
      const deletedCount = await retrieval().deleteModels(modelIds, space === "" ? undefined : space);
      return { deletedCount };
    },

    exportModels: async ({ space, filter }, { send, signal }) => {
      const port = retrieval();
      const idle = createIdleTimer(streamIdleMs);
      const stop = AbortSignal.any([signal, closing, idle.signal]);
      idle.pause();
      try {
        const selection = { space: space === "" ? undefined : space, filter: fromWireFilter(filter) };
        for await (const records of port.exportModels(selection, stop)) {
          idle.start();
          await unlessAborted(send({ records: records.map((record) => toWireRecord(record, true)) }), stop);
          idle.pause();
        }
      } catch (error) {
        throw toEndError(idle.signal, closing, streamIdleMs, "the export") ?? error;
      } finally {
        idle.stop();
      }
    },

    importModels: async ({ messages, signal }: Incoming<ImportModelsRequest>) => {
      const port = retrieval();
      const idle = createIdleTimer(streamIdleMs);
      const stop = AbortSignal.any([signal, closing, idle.signal]);
      const next = async (): Promise<ImportModelsRequest | undefined> => {
        idle.start();
        const message = await nextUnless(stop, messages);
        idle.pause();
        const ended = toEndError(idle.signal, closing, streamIdleMs, "the import");
        if (ended !== undefined) throw ended;
        signal.throwIfAborted();
        return message === undefined || message.done === true ? undefined : message.value;
      };
      try {
        const first = await next();
        if (first === undefined) return { importedCount: 0n };
        const { spaceId, expertName, fill } = first;
        const count = await port.importModels({ spaceId, expertName, fill }, toBatches(first, next), stop);
        return { importedCount: BigInt(count) };
      } finally {
        idle.stop();
      }
    },
  };
}

async function* toBatches(
  first: ImportModelsRequest,
  next: () => Promise<ImportModelsRequest | undefined>,
): AsyncGenerator<readonly NewRecord[]> {
  for (let message: ImportModelsRequest | undefined = first; message !== undefined; message = await next()) {
    for (const spaceId of [message.spaceId, ...message.records.map((record) => record.spaceId)]) {
      if (spaceId === "" || spaceId === first.spaceId) continue;
      throw new InvalidInputError(
        "FIELD_INVALID",
        `an import goes to one space, which its first message names ("${first.spaceId.slice(0, 80)}"); "${spaceId.slice(0, 80)}" is another`,
      );
    }
    yield message.records.map(fromImportedRecord);
  }
}
