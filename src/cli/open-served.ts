import type { ServerOptions } from "../rpc/server.js";
import type { UploadStore } from "../search/upload-store.js";
import type { VectorStore } from "../vectors/vector-store.js";
import type { CommandContext } from "./command-context.js";
import { isPostgresUrl, openStore } from "./open-store.js";
import type { ServeOptions } from "./serve-options.js";
import { startTextEncoders } from "./start-text-encoders.js";

/** What a server works with that outlives it. */
export interface Served extends Pick<ServerOptions, "store" | "encoders"> {
  /** Where unfinished uploads are kept beside the catalogue; the server's from its start on, which closes it. */
  readonly uploads: UploadStore | undefined;
  /** Once the server is closed. */
  close(): Promise<void>;
}

/**
 * Opens the catalogue and starts the text encoders that `serve` is given. With a catalogue on PostgreSQL unfinished uploads
 * are there as well, so that any server goes on with them, unless there is a folder for them.
 *
 * @throws what opening and starting throw.
 */
export async function openServed(
  { store: place, textEncoder = [], stateDir, uploadExpiry }: ServeOptions,
  context: CommandContext,
): Promise<Served> {
  const encoders = await startTextEncoders(textEncoder, context);
  const stop = async (): Promise<void> => {
    await Promise.all(encoders.map((encoder) => encoder.dispose()));
  };
  let store: VectorStore | undefined;
  let uploads: UploadStore | undefined;
  try {
    store = place === undefined ? undefined : await openStore(place);
    uploads = place === undefined || stateDir !== undefined ? undefined : await openUploads(place, uploadExpiry);
  } catch (error) {
    await stop();
    await store?.close();
    throw error;
  }
  return {
    store,
    encoders,
    uploads,
    close: async () => {
      await stop();
      await store?.close();
    },
  };
}

async function openUploads(place: string, expiryMs: number | undefined): Promise<UploadStore | undefined> {
  if (!isPostgresUrl(place)) return undefined;
  const { openPostgresUploadStore } = await import("../search/upload-stores/postgres.js");
  return openPostgresUploadStore({ connectionString: place, ...(expiryMs !== undefined && { expiryMs }) });
}
