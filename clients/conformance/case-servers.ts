import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { connect } from "../../src/rpc/client.js";
import { type ServerOptions, startServer } from "../../src/rpc/server.js";
import { startTextEncoder } from "../../src/text/start-text-encoder.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { toDigest } from "../../test/helpers/rpc-messages.js";
import { exactRepresentation, smallExpert, smallWeights } from "../../test/helpers/small-experts.js";
import { type RangeServer, startRangeServer } from "../../test/weights/range-server.js";
import { type FaultyLink, findDeadTarget, startCutLink, startSilentLink, startSlowLink } from "./faulty-link.js";
import type { World } from "./world.js";

/** The servers that cases name, started when they are first needed. */
export interface CaseServers {
  /** Address of a file server over the models. */
  readonly fileOrigin: string;
  /** Where a server is, for one case of one driver; `stop` ends what was started for it alone. */
  open(name: string, driver: string): Promise<FaultyLink>;
  /** Why a server cannot be had; undefined if it can. */
  whyMissing(name: string): string | undefined;
  /** Streams that the main server has open. */
  countOpenStreams(): Promise<number>;
  stop(): Promise<void>;
}

/** Token that the server `token` wants. */
const token = "let-me-in-please";

/** Small limits, so that passing them is cheap. */
const smallLimits = { maxStreamModels: 3, maxPlanModels: 8, maxTextVectors: 10 };

/** Bytes after which `cut` cuts, and bytes per second of `slow`. */
const cutAfterBytes = 12 * 1024 * 1024;
const slowBytesPerSecond = 8 * 1024 * 1024;

const nothing = async (): Promise<void> => {};

/** Sets the servers up; but for that of files none is started yet. */
export async function createCaseServers(world: World): Promise<CaseServers> {
  const files = await startFileServer(world.models);
  const running = new Map<string, Promise<FaultyLink>>();
  const once = (name: string, start: () => Promise<FaultyLink>): Promise<FaultyLink> => {
    const known = running.get(name) ?? start();
    running.set(name, known);
    return known;
  };
  const serve = (name: string, options: () => Promise<Partial<ServerOptions>>): Promise<FaultyLink> =>
    once(name, async () => startReal(world, await options()));
  const main = (): Promise<FaultyLink> => serve("main", async () => ({}));
  const pem = (name: string): Promise<Buffer> => readFile(join(world.folder, name));
  const tls = async () => ({ certificate: await pem("server.pem"), privateKey: await pem("server.key") });

  const starts: Readonly<Record<string, (driver: string) => Promise<FaultyLink>>> = {
    main: () => shared(main()),
    tls: () => shared(serve("tls", async () => ({ tls: await tls() }))),
    mtls: () =>
      shared(serve("mtls", async () => ({ tls: { ...(await tls()), clientAuthority: await pem("ca.pem") } }))),
    small: () => shared(serve("small", async () => ({ limits: smallLimits }))),
    token: () => shared(serve("token", async () => ({ tokens: [token] }))),
    store: (driver) => shared(once(`store of ${driver}`, () => startWithStore(world, false))),
    text: (driver) => shared(once(`text of ${driver}`, () => startWithStore(world, true))),
    cut: async () => startCutLink((await main()).target, cutAfterBytes),
    slow: async () => startSlowLink((await main()).target, slowBytesPerSecond),
    silent: () => startSilentLink(),
    dead: async () => ({ target: await findDeadTarget(), stop: nothing }),
  };

  return {
    fileOrigin: files.origin,
    open: (name, driver) => {
      const start = starts[name];
      if (start === undefined) throw new Error(`no server ${name}`);
      return start(driver);
    },
    whyMissing: (name) => {
      if ((name === "tls" || name === "mtls") && !world.hasCertificates) return "openssl is not installed";
      return undefined;
    },
    countOpenStreams: async () => {
      const client = connect({ target: (await main()).target });
      try {
        return (await client.serverInfo()).memory.openStreams;
      } finally {
        await client.close();
      }
    },
    stop: async () => {
      await files.close();
      for (const server of running.values()) await (await server).stop();
    },
  };
}

/** Serves the files of the models' folder by ranges; `denied.safetensors` needs rights that nobody has. */
async function startFileServer(folder: string): Promise<RangeServer> {
  const files: Record<string, Uint8Array> = {};
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isFile()) files[`/${entry.name}`] = await readFile(join(folder, entry.name));
  }
  return startRangeServer(files, (request, response) => {
    if (request.url?.startsWith("/denied.safetensors") !== true) return false;
    response.writeHead(403).end();
    return true;
  });
}

/** A server that stays when a case is over. */
async function shared(server: Promise<FaultyLink>): Promise<FaultyLink> {
  return { target: (await server).target, stop: nothing };
}

/** A server that keeps the small models "one" to "five" and "模型 🎨", with its text encoder or without. */
async function startWithStore(world: World, hasEncoder: boolean): Promise<FaultyLink> {
  const store = createMemoryStore();
  await store.ensureSpace({ spaceId: world.smallSpace, expertName: "small", width: smallExpert.encoder.weight.rows });
  await store.upsert(
    world.smallSpace,
    ["one", "two", "three", "four", "five", "模型 🎨"].map((id, i) => ({
      id,
      vector: Float32Array.from(exactRepresentation(smallExpert, smallWeights(i + 1))),
      weightsHash: Buffer.from(toDigest([float32Bytes(smallWeights(i + 1).values)])).toString("hex"),
      fileHash: "",
      tree: "",
      base: "",
      metadata: { number: i + 1, odd: i % 2 === 0, style: "plain" },
      claims: { made: "for conformance" },
    })),
  );
  const encoders = hasEncoder ? [await startTextEncoder(world.encoder)] : [];
  const { target, stop } = await startReal(world, { store, encoders });
  return {
    target,
    stop: async () => {
      await stop();
      for (const encoder of encoders) await encoder.dispose();
      await store.close();
    },
  };
}

async function startReal(world: World, options: Partial<ServerOptions>): Promise<FaultyLink> {
  const server = await startServer({
    catalogue: openCatalogue(world.experts),
    backend: "onnx",
    workerCount: 1,
    ...options,
  });
  return { target: `127.0.0.1:${server.port}`, stop: () => server.close(0) };
}
