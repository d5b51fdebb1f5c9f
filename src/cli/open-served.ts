import { reportToStderr, type ServerOptions } from "../rpc/server.js";
import type { UploadStore } from "../search/upload-store.js";
import type { TextEncoder } from "../text/text-encoder.js";
import type { VectorStore } from "../vectors/vector-store.js";
import type { CommandContext } from "./command-context.js";
import { findEncoderPlaces, toEncoderRemark } from "./encoder-places.js";
import { isPostgresUrl, openStore } from "./open-store.js";
import { isServerProcess } from "./processes.js";
import type { ServeOptions } from "./serve-options.js";
import { startTextEncoders } from "./start-text-encoders.js";
import { toPlain } from "./table.js";

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
 * Where none is named, the text encoder beside the experts is started if there is a catalogue to search; one that does not
 * start is told of, and the server does without.
 *
 * @throws what opening and starting throw.
 */
export async function openServed(
  options: Pick<ServeOptions, "store" | "textEncoder" | "experts" | "stateDir" | "uploadExpiry">,
  context: Pick<CommandContext, "terminal" | "environment" | "signal">,
): Promise<Served> {
  const { store: place, stateDir, uploadExpiry } = options;
  const encoders = await startEncoders(options, context);
  const stop = async (): Promise<void> => {
    await Promise.all(encoders.map((encoder) => encoder.dispose()));
  };
  let store: VectorStore | undefined;
  let uploads: UploadStore | undefined;
  try {
    store = place === undefined ? undefined : await openStore(place, (error) => reportToStderr("none", error));
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

async function startEncoders(
  { store, textEncoder, experts }: Pick<ServeOptions, "store" | "textEncoder" | "experts">,
  context: Pick<CommandContext, "terminal" | "environment" | "signal">,
): Promise<readonly TextEncoder[]> {
  if (store === undefined && textEncoder === undefined) return [];
  const wanted = await findEncoderPlaces(textEncoder, experts);
  try {
    const encoders = await startTextEncoders(wanted.places, context);
    // Of several processes the first says it once.
    if (!isServerProcess) context.terminal.remark(toPlain(toEncoderRemark(wanted)));
    return encoders;
  } catch (error) {
    context.signal.throwIfAborted();
    if (!wanted.isFound) throw error;
    const why = error instanceof Error ? error.message : String(error);
    context.terminal.remark(toPlain(`${toEncoderRemark(wanted)} is not used: ${why}`));
    return [];
  }
}

async function openUploads(place: string, expiryMs: number | undefined): Promise<UploadStore | undefined> {
  if (!isPostgresUrl(place)) return undefined;
  const { openPostgresUploadStore } = await import("../search/upload-stores/postgres.js");
  return openPostgresUploadStore({ connectionString: place, ...(expiryMs !== undefined && { expiryMs }) });
}
