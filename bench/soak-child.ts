import { join } from "node:path";
import { isBackendName } from "../src/compute/create-backend.js";
import { openCatalogue } from "../src/experts/catalogue.js";
import { collectGarbage } from "../src/search/collect-garbage.js";
import { startEmbedder } from "../src/search/embedder.js";
import type { Embedder } from "../src/search/open-embedder.js";
import { planModel } from "../src/search/plan-model.js";
import { withFolder, writeExpert } from "./fixtures.js";
import { SEGMENT_BYTES, SeededLayer } from "./seeded-layer.js";

// Run as a program: node soak-child.js BACKEND ROWS COLUMNS UPLOADS PROBES. Streams a layer of ROWS x COLUMNS float32
// numbers that often through an embedder, and prints each second what has been taken in, as JSON.

const [backend = "", ...numbers] = process.argv.slice(2);
const [rows = 0, columns = 0, uploads = 0, probes = 0] = numbers.map(Number);
if (!isBackendName(backend)) throw new Error(`${backend} is no backend`);

/** A line of the output. */
export interface SoakLine {
  readonly device: string;
  /** Bytes taken in so far. */
  readonly bytes: number;
}

const CHUNK_BYTES = 1024 ** 2;
const REPORT_MS = 1000;

/** One block, again and again: what is made takes time, and what is read takes memory. */
const chunks = new SeededLayer(SEGMENT_BYTES, 1).segment(0);
let bytes = 0;

async function upload(embedder: Embedder): Promise<void> {
  const tensor = { name: "layer.weight", dtype: "F32", shape: [rows, columns] };
  const { answer } = await planModel(embedder, {
    uploadId: "",
    tensors: new Map([[tensor.name, tensor]]),
    experts: ["soak"],
  });
  const stream = embedder.openStream();
  await stream.header({
    modelId: "soak",
    uploadId: answer.uploadId,
    tensors: answer.tensors,
    experts: answer.experts,
    startOffsets: [],
  });
  const totalBytes = rows * columns * 4;
  for (let offset = 0; offset < totalBytes; offset += CHUNK_BYTES) {
    const begin = offset % SEGMENT_BYTES;
    const chunk = chunks.subarray(begin, begin + Math.min(CHUNK_BYTES, totalBytes - offset));
    await stream.chunk(0, offset, chunk);
    bytes += chunk.byteLength;
  }
  await stream.footer({ totalBytes, digest: new Uint8Array(0) });
  const [done] = await stream.finish();
  if (done === undefined || done.outcome instanceof Error) throw done?.outcome ?? new Error("no outcome");
  const others = done.outcome.backends.filter(({ name }) => name !== backend);
  if (others.length > 0) throw new Error(`${others.map(({ name }) => name).join(", ")} took part in an upload`);
}

await withFolder(async (folder) => {
  await writeExpert(join(folder, "soak"), { rows, columns, probes, projection: probes });
  const embedder = await startEmbedder({ catalogue: openCatalogue(folder), backend, workerCount: 1 });
  const { device } = embedder.backend;
  const report = (): void => {
    // V8 lets tens of MiB of this thread's garbage lie for minutes; the question is what stays.
    collectGarbage();
    console.log(JSON.stringify({ device, bytes } satisfies SoakLine));
  };
  const timer = setInterval(report, REPORT_MS);
  for (let done = 0; done < uploads; done++) await upload(embedder);
  clearInterval(timer);
  report();
  await embedder.close();
});
