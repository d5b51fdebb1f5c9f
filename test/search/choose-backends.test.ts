import test from "ava";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { chooseBackends } from "../../src/search/choose-backends.js";
import { startEmbedder } from "../../src/search/embedder.js";
import { embedModel } from "../helpers/embed-client.js";
import { smallModel, writeSmallExpert } from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

test("the order is that of the measured rates, and backends that cannot run are left out", async (t) => {
  const { order, measured } = await chooseBackends(openCatalogue(await createTemporaryFolder(t)));
  const usable = measured.filter(({ unusable }) => unusable === undefined);
  t.deepEqual(
    order,
    usable.map(({ name }) => name),
  );
  t.true(order.includes("plain"));
  for (const [index, { gflops }] of usable.entries()) t.true(gflops <= (usable[index - 1]?.gflops ?? Infinity));
});

test("an embedder uses the fastest of its own table, says so, and names it in each result", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  const embedder = await startEmbedder({ catalogue: openCatalogue(root), workerCount: 1 });
  t.teardown(() => embedder.close());
  const [best] = embedder.measuredBackends;
  t.like(embedder.backend, { name: best?.name, device: best?.device });
  const { backends } = await embedModel(embedder, smallModel(1));
  t.deepEqual(backends, [{ name: best?.name ?? "", device: best?.device ?? "", rows: 12 }]);
});

test("a choice that was made before is used as it is", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  const measured = [
    { name: "plain", device: "another process", gflops: 1, relativeError: 0, unusable: undefined },
    { name: "gpu", device: "", gflops: 0, relativeError: Number.NaN, unusable: "its numbers are off" },
  ];
  const choice = { order: ["plain"] as const, measured };
  const embedder = await startEmbedder({ catalogue: openCatalogue(root), workerCount: 1, choice });
  t.teardown(() => embedder.close());
  t.is(embedder.backend.name, "plain");
  t.is(embedder.measuredBackends, measured);
  t.deepEqual((await embedModel(embedder, smallModel(1))).backends, [
    { name: "plain", device: embedder.backend.device, rows: 12 },
  ]);
});

test("a backend that is named is used without measuring", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  const embedder = await startEmbedder({ catalogue: openCatalogue(root), workerCount: 1, backend: "plain" });
  t.teardown(() => embedder.close());
  t.is(embedder.backend.name, "plain");
  t.deepEqual(embedder.measuredBackends, []);
});
