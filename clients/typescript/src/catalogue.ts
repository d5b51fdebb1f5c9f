import type { CatalogueSpace, FullRecord, RetrievalPort } from "../../../src/retrieval/retrieval-port.js";
import { toWireMetadata } from "../../../src/rpc/convert/model-record.js";
import type { Scalar } from "../../../src/vectors/filter.js";
import { assertOptions } from "./assert-options.js";
import { type Names, toNames } from "./names.js";
import type { ExportOptions, GetOptions, ImportOptions, ListOptions } from "./options.js";
import { fromRecord, type ModelRecord, type NewModelRecord, toRecord } from "./results.js";

/** Records that go to the connection at a time; it cuts them to messages. */
const importBatch = 256;

/** The part of the client that reads and changes the server's catalogue of models. */
export class Catalogue {
  readonly #port: RetrievalPort;

  constructor(port: RetrievalPort) {
    this.#port = port;
  }

  /** Spaces of the catalogue: one per expert that models were indexed under; and the store, for people. */
  async spaces(): Promise<{ readonly store: string; readonly spaces: readonly CatalogueSpace[] }> {
    return this.#port.listSpaces();
  }

  /** Records with their representations, one per model and space, in the order asked for. What is not there is left out. */
  async get(modelIds: Names, options: GetOptions = {}): Promise<readonly ModelRecord[]> {
    assertOptions(options, ["weightsHashes", "spaces"], "get");
    const { weightsHashes = [], spaces = [] } = options;
    const records = await this.#port.getModels({
      modelIds: toNames(modelIds, "the models"),
      weightsHashes: toNames(weightsHashes, "weightsHashes"),
      spaces: toNames(spaces, "spaces"),
    });
    return records.map(toRecord);
  }

  /** Records of a space, ordered by id, page by page as they are taken; without representations. */
  async *list(options: ListOptions = {}): AsyncGenerator<ModelRecord, void, undefined> {
    assertOptions(options, ["space", "filter", "pageSize"], "list");
    let pageToken = "";
    do {
      const page = await this.#port.listModels({ ...options, pageToken });
      yield* page.records.map(toRecord);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /** Changes what the user said of a model, in all spaces at once, and returns it as it is then. */
  async update(
    modelId: string,
    changes: {
      readonly set?: Readonly<Record<string, Scalar>> | undefined;
      readonly remove?: Names | undefined;
    },
  ): Promise<readonly ModelRecord[]> {
    assertOptions(changes, ["set", "remove"], "update");
    const { set = {}, remove = [] } = changes;
    toWireMetadata(set);
    const patch = { ...set, ...Object.fromEntries(toNames(remove, "remove").map((name) => [name, null])) };
    return (await this.#port.updateModel(modelId, patch)).map(toRecord);
  }

  /** Removes models, of one space or of all, and returns how many were there. */
  async delete(modelIds: Names, options: { readonly space?: string | undefined } = {}): Promise<number> {
    assertOptions(options, ["space"], "delete");
    return this.#port.deleteModels(toNames(modelIds, "the models"), options.space);
  }

  /** Records of a space with their representations, ordered by id, as they come. */
  async *export(options: ExportOptions = {}): AsyncGenerator<ModelRecord, void, undefined> {
    assertOptions(options, ["space", "filter", "signal"], "export");
    const { signal, ...selection } = options;
    for await (const records of this.#port.exportModels(selection, signal)) yield* records.map(toRecord);
  }

  /** Writes records as `export` gives them, and returns how many. What is there already is replaced. */
  async importRecords(
    records: Iterable<NewModelRecord> | AsyncIterable<NewModelRecord>,
    options: ImportOptions,
  ): Promise<number> {
    assertOptions(options, ["spaceId", "expertName", "fill", "signal"], "importRecords");
    const { spaceId, expertName = "", fill = false, signal } = options;
    return this.#port.importModels({ spaceId, expertName, fill }, toBatches(records), signal);
  }

  /** Lets spaces that were filled take the place of others, all at once. Space ids. */
  async switchSpaces(serve: readonly string[], retire: readonly string[] = []): Promise<void> {
    await this.#port.switchSpaces({ serve, retire });
  }

  /** Removes a space and all its records. */
  async dropSpace(spaceId: string): Promise<void> {
    await this.#port.dropSpace(spaceId);
  }
}

async function* toBatches(
  records: Iterable<NewModelRecord> | AsyncIterable<NewModelRecord>,
): AsyncGenerator<readonly FullRecord[]> {
  const nowMs = Date.now();
  let batch: FullRecord[] = [];
  for await (const record of records) {
    batch.push(fromRecord(record, nowMs));
    if (batch.length < importBatch) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
