import type { RetrievalPort } from "../retrieval/retrieval-port.js";
import type { EmbedPort } from "../search/embed-port.js";
import type { CommandContext } from "./command-context.js";
import { openLocalCatalogue } from "./open-local-catalogue.js";
import { openPrivatePort } from "./private-port.js";
import { assertRetrievalOptions, type RetrievalOptions } from "./retrieval-options.js";
import { assertHasExperts, connectToServer } from "./server-connection.js";

/** A catalogue, wherever it is. */
export interface OpenedCatalogue {
  readonly catalogue: RetrievalPort;
  /**
   * What embeds and indexes models, and the experts that are asked for as it knows them; started when it is first asked for.
   *
   * @throws NotFoundError `EXPERT_NOT_FOUND`.
   */
  embedder(experts: readonly string[]): Promise<{ readonly port: EmbedPort; readonly experts: readonly string[] }>;
  close(): Promise<void>;
}

/** What a command does with a catalogue. */
export interface OpeningOptions {
  /** Text encoders are started in this process; a server has its own. */
  readonly needsTexts?: boolean;
  /** A store in this process is searched: what that takes starts beside the rest. */
  readonly willSearch?: boolean;
  /** This process projects for a server, which gets no weights. */
  readonly isPrivate?: boolean;
  /** A store in this process is made if it is not there; only what writes makes one. */
  readonly makesStore?: boolean;
  /** Experts that a store in this process must not be made without, by name; empty: any. Default: it needs none. */
  readonly needsExperts?: readonly string[];
}

/**
 * Connects to a server, or opens a store in this process.
 *
 * @throws CommandError for options that do not go together; what connecting and opening throw.
 */
export async function openCatalogueOf(
  options: RetrievalOptions,
  context: CommandContext,
  opening: OpeningOptions = {},
): Promise<OpenedCatalogue> {
  const { isPrivate = false } = opening;
  assertRetrievalOptions(options, isPrivate);
  if (options.local === true) return openLocalCatalogue(options, opening, context);
  const { environment } = context;
  const client = await connectToServer(options, environment);
  let port: Promise<EmbedPort> | undefined;
  // Names that the server had: workers ask for each job.
  const known = new Set<string>();
  return {
    catalogue: client,
    embedder: async (experts) => {
      const unknown = experts.filter((word) => !known.has(word));
      await assertHasExperts(client, options.server ?? environment.server, unknown);
      for (const word of unknown) known.add(word);
      if (!isPrivate) return { port: client, experts };
      port ??= openPrivatePort(client, environment, options.backend);
      port.catch(() => {
        port = undefined;
      });
      return { port: await port, experts };
    },
    close: async () => {
      const opened = await port?.catch(() => undefined);
      await opened?.close();
      await client.close();
    },
  };
}
