import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { type RunningServer, type ServerOptions, startServer } from "../../src/rpc/server.js";
import { type TestExpert, type TestExpertSpec, writeTestExpert } from "./rpc-experts.js";

/** A real server on a free port of loopback, with a catalogue of its own. */
export interface TestServer extends RunningServer {
  /** `127.0.0.1:PORT`. */
  readonly target: string;
  /** Folder of the catalogue. */
  readonly catalogue: string;
  /** By name. */
  readonly experts: ReadonlyMap<string, TestExpert>;
  /** Faults that the server reported: none, if all is well. */
  readonly faults: readonly unknown[];
}

/** Starts a server; `close` removes its catalogue as well. */
export async function startTestServer(
  specs: readonly TestExpertSpec[],
  options: Omit<ServerOptions, "catalogue"> = {},
): Promise<TestServer> {
  const catalogue = await mkdtemp(join(tmpdir(), "probestream-rpc-"));
  try {
    const written = await Promise.all(specs.map((spec) => writeTestExpert(catalogue, spec)));
    const faults: unknown[] = [];
    const server = await startServer({
      workerCount: 1,
      // Not measured anew for each of hundreds of servers. This one starts fastest of those that are fast.
      backend: "wasm",
      // AVA runs a file's tests at once: a hundred streams may be open.
      memoryBudgetBytes: 4 * 1024 ** 3,
      reportFault: (_, error) => faults.push(error),
      ...options,
      catalogue: openCatalogue(catalogue),
    });
    return {
      ...server,
      target: `${server.host}:${server.port}`,
      catalogue,
      experts: new Map(written.map((expert) => [expert.name, expert])),
      faults,
      close: async (graceMs = 0) => {
        await server.close(graceMs);
        await rm(catalogue, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(catalogue, { recursive: true, force: true });
    throw error;
  }
}
