import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { readTexts } from "../../src/search/read-texts.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const values = Float32Array.of(1, 2, 3, 4, 5, 6);
const tensor: TensorData = { name: "text_embeds", dtype: "F32", shape: [2, 3], bytes: float32Bytes(values) };

async function write(t: ExecutionContext, tensors: readonly TensorData[], metadata = {}): Promise<string> {
  const path = join(await createTemporaryFolder(t), "texts.safetensors");
  await writeFile(path, encodeSafetensors(tensors, metadata));
  return path;
}

test("text vectors are read with their labels", async (t) => {
  const path = await write(t, [tensor], { labels: '["birds", "chess"]' });
  t.deepEqual(await readTexts(path), { vectors: { rows: 2, columns: 3, values }, labels: ["birds", "chess"] });
});

test("text vectors without labels are numbered", async (t) => {
  t.deepEqual((await readTexts(await write(t, [tensor]))).labels, ["text 0", "text 1"]);
});

test("reading text vectors stops with its signal", async (t) => {
  const reason = new Error("enough");
  const path = await write(t, [tensor]);
  t.is(await t.throwsAsync(readTexts(path, { signal: AbortSignal.abort(reason) })), reason);
});

for (const labels of ["birds, chess", '["birds"]', '["birds", 3]', '{"0": "birds"}']) {
  test(`labels that read ${labels} are refused beside two vectors`, async (t) => {
    const path = await write(t, [tensor], { labels });
    await assertRefused(t, () => readTexts(path), {
      kind: "invalid-input",
      reason: "HEADER_MALFORMED",
      message: `the metadata "labels" of ${path} must be a JSON list of 2 names, one per vector`,
    });
  });
}

const others: readonly (readonly [
  found: string,
  reason: "SHAPE_MISMATCH" | "DTYPE_UNSUPPORTED",
  tensor: TensorData,
])[] = [
  ["none of that name", "SHAPE_MISMATCH", { ...tensor, name: "embeds" }],
  ["F32 [6]", "SHAPE_MISMATCH", { ...tensor, shape: [6] }],
  ["F32 [1,2,3]", "SHAPE_MISMATCH", { ...tensor, shape: [1, 2, 3] }],
  ["F64 [1,3]", "DTYPE_UNSUPPORTED", { ...tensor, dtype: "F64", shape: [1, 3] }],
];
for (const [found, reason, other] of others) {
  test(`a texts file that has ${found} is refused`, async (t) => {
    const path = await write(t, [other]);
    await assertRefused(t, () => readTexts(path), {
      kind: "invalid-input",
      reason,
      message: `${path} must hold the tensor text_embeds, F32 [texts, width]; it has ${found}`,
    });
  });
}
