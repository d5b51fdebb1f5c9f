import test from "ava";
import type { Embedder } from "../../src/search/open-embedder.js";
import { afterAll } from "../helpers/after-all.js";
import { planTestModel, sendModel, startTestEmbedder, toEmbedding } from "../helpers/embed-client.js";
import { type GoldenName, goldenNames, readGoldenCase, writeGoldenExpert } from "../helpers/golden.js";
import { relativeError } from "../helpers/oracle.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const tolerance = 1e-5;

const shared = afterAll(test);
/** Has the experts of all cases. */
let embedder: Embedder;

test.before(async () => {
  const root = await createTemporaryFolder(shared);
  for (const name of goldenNames) await writeGoldenExpert(await readGoldenCase(name), root);
  embedder = await startTestEmbedder(shared, root, { backend: "onnx" });
});

const recorded = test.macro<[GoldenName]>({
  exec: async (t, name) => {
    const golden = await readGoldenCase(name);
    const { texts } = golden;
    for (const chunkBytes of [1, 3, 4, 4095, 1024 * 1024]) {
      const stream = embedder.openStream();
      for (const [i, tensors] of golden.models.entries()) {
        const planned = await planTestModel(embedder, { modelId: `model ${i}`, tensors, experts: [name] });
        await sendModel(stream, planned, { chunkBytes, ...(texts !== undefined && i === 0 && { texts }) });
      }
      const outcomes = await stream.finish();
      t.is(outcomes.length, golden.models.length);
      for (const [i, { representation, logits }] of golden.expected.entries()) {
        const [embedding] = toEmbedding(outcomes[i]).embeddings;
        if (embedding === undefined) throw t.fail("no embedding");
        const what = `model ${i}, chunks of ${chunkBytes}`;
        if (representation !== undefined) {
          const error = relativeError(embedding.representation, representation);
          t.true(error <= tolerance, `representation of ${what}: ${error}`);
        }
        const found = golden.objective === "zeroshot" ? embedding.cosines : embedding.logits;
        const error = relativeError(found, logits);
        t.true(error <= tolerance, `logits of ${what}: ${error}`);
        t.is(embedding.probabilities.length, embedding.logits.length);
      }
    }
  },
  title: (_, name) => `the figures recorded for ${name} come out at every chunk size`,
});
for (const name of goldenNames) test(recorded, name);
