import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { openOutFile } from "../../src/cli/out-file.js";
import type { FileOutcome } from "../../src/search/embed-files.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

function toOutcome(index: number): FileOutcome {
  const nothing = new Float32Array(0);
  const representation = Float32Array.of(index, 1);
  const embedding = { spaceId: "0".repeat(64), expertName: "e", representation, cosines: nothing };
  return {
    index,
    location: `${index}.safetensors`,
    outcome: {
      embeddings: [{ ...embedding, probabilities: nothing, logits: nothing, labels: [] }],
      backends: [],
      bytesReceived: 8,
      bytesTotal: 8,
      rowsProjected: 1,
      weightsHash: "",
      timings: { total: 0, receive: 0, wait: 0, digest: 0, project: 0, head: 0 },
    },
  };
}

test("a partial file is marked, and the whole one that replaces it is not", async (t) => {
  const folder = await createTemporaryFolder(t);
  const path = join(folder, "out.safetensors");
  const file = await openOutFile(path, []);
  file.add(toOutcome(1));
  t.is(await file.writePartial(2), `--out: 1 of 2 models was embedded before the end; ${path} holds it`);
  t.is((await readTensors(path)).metadata.get("partial"), "1 of 2 models");
  file.add(toOutcome(0));
  t.is(await file.write(), `--out: ${path} holds the representations of 2 models`);
  const { metadata } = await readTensors(path);
  t.false(metadata.has("partial"));
  t.is(metadata.get("files"), '["0.safetensors","1.safetensors"]');
  t.deepEqual(await readdir(folder), ["out.safetensors"]);
});

test("a partial file that cannot be written is told of, not thrown", async (t) => {
  const folder = join(await createTemporaryFolder(t), "gone");
  await mkdir(folder);
  const file = await openOutFile(join(folder, "out.safetensors"), []);
  file.add(toOutcome(0));
  await rm(folder, { recursive: true });
  t.regex(await file.writePartial(2), /^--out: .*out\.safetensors could not be written: ENOENT/);
});
