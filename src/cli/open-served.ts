import type { ServerOptions } from "../rpc/server.js";
import type { CommandContext } from "./command-context.js";
import { openStore } from "./open-store.js";
import type { ServeOptions } from "./serve-options.js";
import { startTextEncoders } from "./start-text-encoders.js";

/** What a server works with that outlives it. */
export interface Served extends Pick<ServerOptions, "store" | "encoders"> {
  /** Once the server is closed. */
  close(): Promise<void>;
}

/** Opens the catalogue and starts the text encoders that `serve` is given. Throws what opening and starting throw. */
export async function openServed(
  { store: place, textEncoder = [] }: ServeOptions,
  context: CommandContext,
): Promise<Served> {
  const encoders = await startTextEncoders(textEncoder, context);
  const stop = async (): Promise<void> => {
    await Promise.all(encoders.map((encoder) => encoder.dispose()));
  };
  const store =
    place === undefined
      ? undefined
      : await openStore(place).catch(async (error: unknown) => {
          await stop();
          throw error;
        });
  return {
    store,
    encoders,
    close: async () => {
      await stop();
      await store?.close();
    },
  };
}
