import type { RetrievalPort } from "../retrieval/retrieval-port.js";
import type { EmbedPort } from "../search/embed-port.js";
import type { CommandContext } from "./command-context.js";
import { assertRetrievalOptions, type RetrievalOptions } from "./retrieval-options.js";

/** A catalogue, wherever it is. */
export interface OpenedCatalogue {
  readonly catalogue: RetrievalPort;
  /** What embeds models of the experts that are asked for; started when it is first asked for. */
  embedder(experts: readonly string[]): Promise<{ readonly port: EmbedPort; readonly experts: readonly string[] }>;
  close(): Promise<void>;
}

/** Connects to a server, or opens a store in this process. */
export async function openCatalogueOf(options: RetrievalOptions, context: CommandContext): Promise<OpenedCatalogue> {
  assertRetrievalOptions(options);
  void context;
  throw new Error("later");
}
