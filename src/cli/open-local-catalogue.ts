import { type Catalogue, expertNotFound } from "../experts/catalogue.js";
import { createIndexer } from "../retrieval/create-indexer.js";
import { createRetrieval } from "../retrieval/create-retrieval.js";
import type { EmbedPort } from "../search/embed-port.js";
import { startEmbedder } from "../search/embedder.js";
import { createLocalPort } from "../search/local-port.js";
import type { Embedder } from "../search/open-embedder.js";
import { exists } from "../system/exists.js";
import type { TextEncoder } from "../text/text-encoder.js";
import type { CommandContext } from "./command-context.js";
import { findEncoderPlaces } from "./encoder-places.js";
import { defaultExpertsFolder, openLocalExperts } from "./local-experts.js";
import type { OpenedCatalogue, OpeningOptions } from "./open-retrieval.js";
import { openOwnStore } from "./open-store.js";
import { defaultStore, type RetrievalOptions } from "./retrieval-options.js";
import { startTextEncoders } from "./start-text-encoders.js";

/**
 * Opens a store in this process, with experts and text encoders where there are any: to list a catalogue takes neither.
 *
 * @param opening.needsTexts whether there are texts to encode; to start a text encoder takes longer than to search.
 * @throws CommandError if --experts holds no usable expert; what opening throws.
 */
export async function openLocalCatalogue(
  options: RetrievalOptions,
  { needsTexts = false, makesStore = false, willSearch = false, needsExperts }: OpeningOptions,
  context: CommandContext,
): Promise<OpenedCatalogue> {
  const { experts: folder, store: place = defaultStore, backend } = options;
  const catalogue =
    folder !== undefined || (await exists(defaultExpertsFolder))
      ? (await openLocalExperts(folder, [])).catalogue
      : noExperts;
  // Before a store is made for nothing.
  if (needsExperts !== undefined) await openLocalExperts(folder, needsExperts);
  const encoders = needsTexts ? await startTextEncoders(await toPlaces(options), context) : [];
  const store = await openOwnStore(place, context, { makesStore, willSearch }).catch(async (error: unknown) => {
    await dispose(encoders);
    throw error;
  });
  const started = new Map<string, Promise<Started>>();
  const startOne = async (words: readonly string[]): Promise<Started> => {
    const { catalogue: experts, wanted } = await openLocalExperts(folder, words);
    const embedder = await startEmbedder({
      catalogue: experts,
      indexer: createIndexer(store),
      ...(backend !== undefined && { backend }),
    });
    return { embedder, port: createLocalPort(embedder), experts: wanted };
  };
  return {
    catalogue: createRetrieval({ store, catalogue, encoders }),
    embedder: (words) => {
      const key = JSON.stringify(words);
      const known = started.get(key);
      if (known !== undefined) return known;
      const one = startOne(words);
      started.set(key, one);
      // An expert that was not there may be there for the next job.
      one.catch(() => started.delete(key));
      return one;
    },
    close: async () => {
      for (const outcome of await Promise.allSettled(started.values())) {
        if (outcome.status === "fulfilled") await outcome.value.embedder.close();
      }
      await dispose(encoders);
      await store.close();
    },
  };
}

/** What embeds for some experts. */
interface Started {
  readonly embedder: Embedder;
  readonly port: EmbedPort;
  readonly experts: readonly string[];
}

const noExperts: Catalogue = {
  list: async () => ({ experts: [], unusable: [] }),
  recent: async () => [],
  get: async (reference) => {
    throw expertNotFound(reference, "in the catalogue; it has", []);
  },
};

async function toPlaces({ textEncoder, experts = defaultExpertsFolder }: RetrievalOptions): Promise<readonly string[]> {
  return (await findEncoderPlaces(textEncoder, experts)).places;
}

async function dispose(encoders: readonly TextEncoder[]): Promise<void> {
  await Promise.all(encoders.map((encoder) => encoder.dispose()));
}
