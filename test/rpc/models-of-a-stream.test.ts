import { setTimeout as sleep } from "node:timers/promises";
import { encodeChunk } from "../../src/rpc/encode-chunk.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { openRawClient } from "../helpers/rpc-client.js";
import { toHeader, toModel } from "../helpers/rpc-messages.js";
import { startTestServer } from "../helpers/rpc-server.js";
import { largeManifest, mib, reasonOf, sendZeros, small, smallBytes, smallManifest } from "../helpers/rpc-uploads.js";
import { createUploadsTest } from "../helpers/uploads-test.js";

const test = createUploadsTest();

test.serial("a bad number is answered within a second while most of the layer is still to come", async (t) => {
  const { client } = t.context;
  const upload = client.openUpload();
  await upload.write(toHeader(await client.planOne(largeManifest)));
  const bad = new Uint8Array(new Float32Array(mib / 4).fill(Number.NaN, 1000, 1001).buffer);
  const started = performance.now();
  await upload.write(encodeChunk(0, 0, bad));
  let sent = 1;
  while (!upload.isAnswered && sent < 63) {
    await sendZeros(upload, 1, sent++ * mib);
    // A client as slow as a real network: 64 MiB would take 1.3 s.
    await sleep(20);
  }
  const { response } = await upload.answer;
  const elapsed = performance.now() - started;
  t.log(`answered after ${elapsed.toFixed(0)} ms and ${sent} of 64 MiB`);
  t.is(reasonOf(response), "NON_FINITE");
  t.true(response?.stoppedEarly);
  t.true(elapsed < 1000, `${elapsed} ms`);
});

test.serial("a failed small model does not keep those after it from being embedded", async (t) => {
  const { client } = t.context;
  const planned = await client.planOne(smallManifest);
  const { response } = await client.upload([
    ...toModel(planned, [float32Bytes(new Float32Array(30).fill(Number.NaN))], {
      header: { uploadId: "the-first-of-two" },
    }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "the-second-of-two" } }),
  ]);
  t.is(reasonOf(response, 0), "NON_FINITE");
  t.is(reasonOf(response, 1), "embedding");
  t.false(response?.stoppedEarly);
});

test.serial("a header that cannot be read fails its model, and neither those before nor those after it", async (t) => {
  const { client } = t.context;
  const planned = await client.planOne(smallManifest);
  const { response } = await client.upload([
    ...toModel(planned, [smallBytes], { header: { uploadId: "the-first-of-three" } }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "short" } }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "the-third-of-three" } }),
  ]);
  t.deepEqual(
    [0, 1, 2].map((index) => reasonOf(response, index)),
    ["embedding", "FIELD_INVALID", "embedding"],
  );
});

test.serial("text vectors that are refused fail the models that would be scored against them", async (t) => {
  const { client } = t.context;
  const planned = await client.planOne(smallManifest);
  const width = 8;
  const vectors = { rows: 1, columns: width, data: new Uint8Array(new Float32Array(width).fill(1).buffer) };
  const { response } = await client.upload([
    ...toModel(planned, [smallBytes], {
      header: { uploadId: "with-texts-cut-off", textVectors: { ...vectors, rows: 2 } },
    }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "without-texts-at-all" } }),
    ...toModel(planned, [smallBytes], {
      header: { uploadId: "ends-texts-in-force", textVectors: { rows: 0, columns: 0 } },
    }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "again-without-texts" } }),
  ]);
  t.deepEqual(
    [0, 1, 2, 3].map((index) => reasonOf(response, index)),
    ["SHAPE_MISMATCH", "SHAPE_MISMATCH", "embedding", "embedding"],
  );
});

test.serial("sound models are not told of another one's header, but of texts that it kept from them", async (t) => {
  const { client } = t.context;
  const planned = await client.planOne(smallManifest);
  const textVectors = { rows: 1, columns: 8, data: new Uint8Array(new Float32Array(8).fill(1).buffer) };
  const { response } = await client.upload([
    ...toModel(planned, [smallBytes], { header: { modelId: "bad", uploadId: "short", textVectors } }),
    ...toModel(planned, [smallBytes], { header: { modelId: "good", uploadId: "long-enough-a-name" } }),
  ]);
  const messages = response?.results.map(({ outcome }) => (outcome.case === "error" ? outcome.value.message : ""));
  t.deepEqual(messages, [
    "upload_id has 5 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
    'the text vectors that would be in force came with model "bad", whose header was refused: upload_id has 5 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -',
  ]);
});

test.serial("models beyond the most that a stream takes are left for the next, and none before is lost", async (t) => {
  const server = await startTestServer([small], { limits: { maxStreamModels: 2 } });
  const client = openRawClient(server.target);
  try {
    const planned = await client.planOne(smallManifest);
    const ids = ["the-first-of-three", "the-second-of-three", "the-third-of-three"];
    const { response } = await client.upload(
      ids.flatMap((uploadId) => [...toModel(planned, [smallBytes], { header: { uploadId } })]),
    );
    t.deepEqual(
      response?.results.map((_, index) => reasonOf(response, index)),
      ["embedding", "embedding"],
    );
    t.true(response?.stoppedEarly);
  } finally {
    client.close();
    await server.close();
  }
});

test.serial("models that were finished keep their results when the stream falls asleep", async (t) => {
  const server = await startTestServer([small], { limits: { streamIdleMs: 300 } });
  const client = openRawClient(server.target);
  try {
    const planned = await client.planOne(smallManifest);
    const upload = client.openUpload();
    for (const message of toModel(planned, [smallBytes])) await upload.write(message);
    await upload.write(toHeader(planned, { uploadId: "the-second-of-two" }));
    const { response } = await upload.answer;
    t.deepEqual([reasonOf(response, 0), reasonOf(response, 1)], ["embedding", "STREAM_IDLE"]);
    t.true(response?.stoppedEarly);
  } finally {
    client.close();
    await server.close();
  }
});
