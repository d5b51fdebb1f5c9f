import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openCatalogue } from "../src/experts/catalogue.js";
import { describeExpert } from "../src/experts/expert.js";
import { writeScoreModel } from "../src/experts/score-calibration-file.js";
import { Random } from "../src/linalg/random.js";
import { startServer } from "../src/rpc/server.js";
import { startTextEncoder } from "../src/text/start-text-encoder.js";
import { writeWordEncoder } from "../src/text/write-word-encoder.js";
import { openLmdbStore } from "../src/vectors/stores/lmdb.js";
import type { NewRecord } from "../src/vectors/vector-record.js";
import { withFolder, writeExpert } from "./fixtures.js";

// Run as a program: node retrieve-load-child.js MODELS WIDTH WORDS. Serves a catalogue of so many seeded models over lmdb,
// with a calibrated zero-shot expert and a text encoder of so many words, until SIGTERM.

const [models = 0, width = 0, words = 0] = process.argv.slice(2).map(Number);
const textWidth = 64;
const recordsAtOnce = 1000;

const random = new Random(1);

function toRecord(index: number): NewRecord {
  return {
    id: `model ${index}`,
    vector: random.spread(width, 1),
    weightsHash: index.toString(16).padStart(64, "0"),
    fileHash: "",
    tree: index % 3 === 0 ? "a" : "b",
    base: `base ${index % 50}`,
    metadata: { rank: index % 64, note: `note of model ${index}` },
    claims: { tool: "bench" },
  };
}

await withFolder(async (folder) => {
  await writeWordEncoder(join(folder, "encoder"), {
    words: Array.from({ length: words }, (_, index) => `word${index}`),
    vectors: random.spread(words * textWidth, 1),
    width: textWidth,
  });
  const encoder = await startTextEncoder(join(folder, "encoder"));
  const path = join(folder, "experts", "one");
  await writeExpert(path, { rows: 64, columns: 64, probes: 8, projection: 8, representation: width });
  const manifest: Record<string, unknown> = JSON.parse(await readFile(join(path, "expert.json"), "utf8"));
  const text = { encoder: encoder.identity, prompt: "{}" };
  await writeFile(join(path, "expert.json"), JSON.stringify({ ...manifest, text }));
  const { spaceId, name } = await describeExpert(path);
  const scale = { z: 2.5, cosine: 0, offset: -8 };
  await writeScoreModel(path, spaceId, {
    objective: "zeroshot",
    background: { width, values: random.spread(1000 * width, 1) },
    labels: ["word0"],
    queries: { width, values: random.spread(width, 1) },
    texts: { width: textWidth, values: random.spread(200 * textWidth, 1) },
    radius: 2,
    novelty: 0.5,
    text: { seen: scale, unseen: scale },
    example: scale,
    oneOfMany: { seen: 20 },
  });
  const store = await openLmdbStore(join(folder, "store"));
  await store.ensureSpace({ spaceId, expertName: name, width });
  for (let at = 0; at < models; at += recordsAtOnce) {
    const count = Math.min(recordsAtOnce, models - at);
    await store.upsert(
      spaceId,
      Array.from({ length: count }, (_, index) => toRecord(at + index)),
    );
  }
  const server = await startServer({
    catalogue: openCatalogue(join(folder, "experts")),
    store,
    encoders: [encoder],
    backend: "onnx",
    workerCount: 1,
  });
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    console.log(`listening on ${server.host}:${server.port} ${spaceId}`);
  });
  await server.close(1000);
  await store.close();
  await encoder.dispose();
});
