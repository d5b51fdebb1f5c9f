import test, { type ExecutionContext } from "ava";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import { encodeEach } from "../../src/text/encode-each.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import type { TextEncoder } from "../../src/text/text-encoder.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { letterTokenizer, plainEcho, writeEncoder } from "../helpers/echo-encoder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

/** An encoder that refuses the word "zebra", for its vocabulary has no token for unknown words. */
async function openStrict(t: ExecutionContext): Promise<TextEncoder> {
  const folder = await createTemporaryFolder(t);
  const { unk_token: _, ...model } = letterTokenizer.model;
  await writeEncoder(folder, plainEcho(4), { ...letterTokenizer, model });
  const encoder = await openTextEncoder(folder);
  t.teardown(() => encoder.dispose());
  return encoder;
}

test("bad texts among good ones have their own answers", async (t) => {
  const encoder = await openStrict(t);
  const texts = Array.from({ length: 1000 }, (_, index) => "abcd"[index % 4] ?? "");
  texts[17] = " ";
  texts[500] = "zebra";
  texts[999] = "a".repeat(65_537);
  texts[1] = "a b c";
  const answers = await encodeEach(encoder, texts);
  t.is(answers.length, 1000);
  const wrong = answers.flatMap((answer, index) =>
    answer instanceof ProbestreamError ? [[index, answer.message]] : [],
  );
  t.deepEqual(
    wrong.map(([index]) => index),
    [17, 500, 999],
  );
  t.deepEqual(
    wrong.map(([, message]) => String(message).slice(0, 21)),
    ['the text is empty: " ', '"zebra" is no token o', "the text is 65537 cha"],
  );
  t.deepEqual(answers[1], {
    vector: Float32Array.of(1, 4, 5, 2),
    truncation: { tokenCount: 5, maxTokens: 4 },
    isUnknown: false,
    unknownWords: [],
  });
  t.deepEqual(answers[2], { vector: Float32Array.of(1, 6, 2, 0), isUnknown: false, unknownWords: [] });
  t.deepEqual(await encodeEach(encoder, []), []);
});

test("what concerns all texts is thrown", async (t) => {
  const encoder = await openStrict(t);
  await t.throwsAsync(() => encodeEach(encoder, ["a", "b"], { signal: AbortSignal.abort(new Error("enough")) }), {
    message: "enough",
  });
  await encoder.dispose();
  await assertRefused(t, () => encodeEach(encoder, ["a", "b"]), { reason: "INTERNAL", message: /after its end/ });
});
