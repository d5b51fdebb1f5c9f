import { UnavailableError } from "../../../src/errors/probestream-error.js";
import type { EmbedPort } from "../../../src/search/embed-port.js";
import { defaultProbesFolder } from "../../../src/search/probing/default-probes-folder.js";
import type { ProbingServer } from "../../../src/search/probing/probing-server.js";

/**
 * Projects layers in threads of this process, for one connection. They are started by the first call that asks for it and
 * kept for the next; they do not keep the process alive.
 */
export class LocalProbing {
  readonly #server: ProbingServer;
  /** By folder of probes. */
  readonly #ports = new Map<string, Promise<EmbedPort>>();
  #isClosed = false;

  constructor(server: ProbingServer) {
    this.#server = server;
  }

  /**
   * The port that projects here, with probes kept in a folder.
   *
   * @param folder default `probestream/probes` in `XDG_CACHE_HOME`, else `~/.cache`; the Python client has the same.
   * @throws UnavailableError `SHUTTING_DOWN` once it is closed, and what `openLocalPort` throws.
   */
  async open(folder: string = defaultProbesFolder(process.env["XDG_CACHE_HOME"])): Promise<EmbedPort> {
    this.assertOpen();
    const known = this.#ports.get(folder);
    if (known !== undefined) return known;
    // Whoever streams need not load what projects.
    const port = import("./open-local-port.js").then(({ openLocalPort }) => openLocalPort(this.#server, folder));
    this.#ports.set(folder, port);
    try {
      return await port;
    } catch (error) {
      this.#ports.delete(folder);
      throw error;
    }
  }

  /** @throws UnavailableError `SHUTTING_DOWN` once it is closed, and the connection with it. */
  assertOpen(): void {
    if (this.#isClosed) throw new UnavailableError("SHUTTING_DOWN", "the client is closed; connect anew");
  }

  /** Ends the threads, and what they are at. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const ports = [...this.#ports.values()];
    this.#ports.clear();
    for (const port of await Promise.allSettled(ports)) if (port.status === "fulfilled") await port.value.close();
  }
}
