import { fromBinary } from "@bufbuild/protobuf";
import test, { type ExecutionContext } from "ava";
import { ModelProtoSchema } from "../../src/gen/onnx/onnx_pb.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import type { TextEncoder } from "../../src/text/text-encoder.js";
import { readClipCases, readClipTower, writeClipEncoder } from "../helpers/golden-clip.js";
import { multiply, relativeError } from "../helpers/oracle.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

async function openClip(t: ExecutionContext, model?: Uint8Array): Promise<TextEncoder> {
  const folder = await createTemporaryFolder(t);
  await writeClipEncoder(folder, model);
  const encoder = await openTextEncoder(folder);
  t.teardown(() => encoder.dispose());
  return encoder;
}

/** The golden tower with another name for its output of text vectors. */
async function hideTextEmbeds(): Promise<Uint8Array> {
  const bytes = Buffer.from(await readClipTower());
  const name = "text_embeds";
  for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at)) bytes.write("other_thing", at);
  return bytes;
}

test("a tower of CLIP's shape gives the recorded vectors, and says which text was cut", async (t) => {
  const encoder = await openClip(t);
  const cases = await readClipCases();
  t.is(encoder.width, 24);
  t.is(encoder.maxTokens, 77);
  const { rows, columns, values, truncated, unknown } = await encoder.encode(cases.map(({ text }) => text));
  t.deepEqual([rows, columns], [23, 24]);
  for (const [row, { text, text_embeds: expected }] of cases.entries()) {
    t.true(relativeError(values.subarray(row * 24, row * 24 + 24), expected) < 1e-5, text);
  }
  t.deepEqual(truncated, [{ index: 22, tokenCount: 152, maxTokens: 77 }]);
  t.deepEqual(unknown, []);
});

test("of a tower that gives only last_hidden_state, the end-of-text token's is taken", async (t) => {
  const bytes = await hideTextEmbeds();
  const encoder = await openClip(t, bytes);
  const cases = await readClipCases();
  t.is(encoder.width, 16);
  const pooled = await encoder.encode(cases.map(({ text }) => text));
  // The tower's own projection makes the recorded vectors of them.
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  const projection = graph?.initializer.find(({ dims }) => dims.join() === "16,24");
  const values = new Float32Array(Uint8Array.from(projection?.rawData ?? []).buffer);
  const matrix = { rows: 16, columns: 24, values };
  const found = multiply(pooled, matrix).values;
  for (const [row, { text, text_embeds: expected }] of cases.entries()) {
    t.true(relativeError(found.subarray(row * 24, row * 24 + 24), expected) < 1e-5, text);
  }
});
