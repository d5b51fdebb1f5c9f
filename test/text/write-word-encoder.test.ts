import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { ErrorReason } from "../../src/errors/error-reason.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import type { TextEncoder } from "../../src/text/text-encoder.js";
import { type WordVectors, writeWordEncoder } from "../../src/text/write-word-encoder.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { relativeError } from "../helpers/oracle.js";
import { randomMatrix } from "../helpers/random.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const words = ["red", "green", "blue", "naïve", "don't", "10", "日本"];
const { values: vectors } = randomMatrix(words.length, 5, 3);

async function openWords(t: ExecutionContext): Promise<{ encoder: TextEncoder; folder: string }> {
  const folder = join(await createTemporaryFolder(t), "encoder");
  await writeWordEncoder(folder, { words, vectors, width: 5 });
  const encoder = await openTextEncoder(folder);
  t.teardown(() => encoder.dispose());
  return { encoder, folder };
}

/** The mean of the words at some positions, scaled to unit length, in float64. */
function toExpected(positions: readonly number[]): number[] {
  const sum = Array.from({ length: 5 }, (_, column) =>
    positions.reduce((total, position) => total + (vectors[position * 5 + column] ?? 0), 0),
  );
  const norm = Math.hypot(...sum);
  return sum.map((number) => number / norm);
}

test("a text's vector is the mean of its words' vectors, scaled to unit length", async (t) => {
  const { encoder } = await openWords(t);
  const cases: readonly (readonly [string, readonly number[]])[] = [
    ["red", [0]],
    ["Red, GREEN; blue blue!", [0, 1, 2, 2]],
    ["a naïve text: don't, 10 日本", [3, 4, 5, 6]],
    ["red ".repeat(300), [0]],
  ];
  const { rows, columns, values } = await encoder.encode(cases.map(([text]) => text));
  t.deepEqual([rows, columns, encoder.width], [4, 5, 5]);
  for (const [row, [text, positions]] of cases.entries()) {
    const expected = Float64Array.from(toExpected(positions));
    // 300 words one after another in float32: 2e-6.
    t.true(relativeError(values.subarray(row * 5, row * 5 + 5), expected) < 5e-6, text.slice(0, 40));
  }
});

test("a text without a known word has a vector of zeros", async (t) => {
  const { encoder } = await openWords(t);
  for (const text of ["???", "yellow [UNK] [PAD]"]) {
    t.deepEqual((await encoder.encode([text])).values, new Float32Array(5), text);
  }
});

test("an encoder's identity is the SHA-256 of its model file", async (t) => {
  const { encoder, folder } = await openWords(t);
  const bytes = await readFile(join(folder, "model.onnx"));
  t.is(encoder.identity, createHash("sha256").update(bytes).digest("hex"));
});

for (const [title, wrong, reason] of [
  ["a word in capitals", { words: ["Red"], vectors: new Float32Array(2), width: 2 }, "FIELD_INVALID"],
  ["a word of two", { words: ["dark red"], vectors: new Float32Array(2), width: 2 }, "FIELD_INVALID"],
  ["an empty word", { words: [""], vectors: new Float32Array(2), width: 2 }, "FIELD_INVALID"],
  ["a word that stands twice", { words: ["red", "red"], vectors: new Float32Array(4), width: 2 }, "DUPLICATE"],
  ["too few numbers", { words: ["red"], vectors: new Float32Array(1), width: 2 }, "SHAPE_MISMATCH"],
  ["no width", { words: [], vectors: new Float32Array(0), width: 0 }, "SHAPE_MISMATCH"],
  ["a number that is none", { words: ["red"], vectors: Float32Array.of(1, Number.NaN), width: 2 }, "NON_FINITE"],
] satisfies readonly (readonly [string, WordVectors, ErrorReason])[]) {
  test(`${title} is refused before anything is written`, async (t) => {
    const folder = join(await createTemporaryFolder(t), "encoder");
    await assertRefused(t, () => writeWordEncoder(folder, wrong), { kind: "invalid-input", reason, message: /./ });
    await t.throwsAsync(() => readFile(join(folder, "model.onnx")), { code: "ENOENT" });
  });
}
