import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import { type EmbedFilesOptions, embedFiles } from "../../src/search/embed-files.js";
import type { EmbedPort, PortResult } from "../../src/search/embed-port.js";
import { createProbingPort } from "../../src/search/probing/create-probing-port.js";
import type { ProbingServer } from "../../src/search/probing/probing-server.js";
import { encodeSafetensors, type TensorData } from "../../src/weights/safetensors-writer.js";
import { createTemporaryFolder, type Teardown } from "./temporary-folder.js";

/** Between a layer that was projected here and the same one streamed, relative L2. */
export const tolerance = 1e-6;

/** A port that projects here, with one worker and a cache of its own. */
export async function openProbingPort(t: Teardown, server: ProbingServer, cacheFolder?: string): Promise<EmbedPort> {
  const folder = cacheFolder ?? (await createTemporaryFolder(t));
  const port = await createProbingPort(server, { cacheFolder: folder, backend: "onnx", workerCount: 1 });
  t.teardown(() => port.close());
  return port;
}

/** Embeds files; outcomes in their order. */
export async function embedAll(
  port: EmbedPort,
  paths: readonly string[],
  options: EmbedFilesOptions = {},
): Promise<(PortResult | ProbestreamError)[]> {
  const found: (PortResult | ProbestreamError)[] = [];
  for await (const { index, outcome } of embedFiles(paths, port, { retries: 0, ...options })) found[index] = outcome;
  return found;
}

/** The result of a model that must have one. */
export function toResult(outcome: PortResult | ProbestreamError | undefined): PortResult {
  if (outcome === undefined) throw new Error("there is no outcome");
  if (outcome instanceof ProbestreamError) throw outcome;
  return outcome;
}

/** Writes a model to a folder of its own, and gives its path. */
export async function writeModel(
  t: Teardown,
  name: string,
  tensors: readonly TensorData[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<string> {
  const path = join(await createTemporaryFolder(t), `${name}.safetensors`);
  await writeFile(path, encodeSafetensors(tensors, metadata));
  return path;
}
