import test, { type ExecutionContext } from "ava";
import { createCachedEncoder } from "../../src/text/create-cached-encoder.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import type { TextEncoder } from "../../src/text/text-encoder.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { writeEchoEncoder } from "../helpers/echo-encoder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

/** An encoder of 4 tokens behind a cache, and what it was asked. */
async function openCached(
  t: ExecutionContext,
  maxBytes: number,
): Promise<{ encoder: TextEncoder; asked: (readonly string[])[] }> {
  const folder = await createTemporaryFolder(t);
  await writeEchoEncoder(folder, { length: 4 });
  const opened = await openTextEncoder(folder);
  const asked: (readonly string[])[] = [];
  const encoder = createCachedEncoder(
    {
      ...opened,
      encode: (texts, options) => {
        asked.push(texts);
        return opened.encode(texts, options);
      },
    },
    maxBytes,
  );
  t.teardown(() => encoder.dispose());
  return { encoder, asked };
}

test("a text is encoded once, and answers are those of the encoder", async (t) => {
  const { encoder, asked } = await openCached(t, 10_000);
  t.deepEqual([encoder.width, encoder.maxTokens], [4, 4]);
  const first = await encoder.encode(["a", "zebra", "a", "a b c"]);
  const second = await encoder.encode(["a b c", "d", "zebra", "zebra"]);
  t.deepEqual(asked, [["a", "zebra", "a b c"], ["d"]]);
  t.deepEqual(first, {
    rows: 4,
    columns: 4,
    values: Float32Array.of(1, 4, 2, 0, 1, 3, 2, 0, 1, 4, 2, 0, 1, 4, 5, 2),
    truncated: [{ index: 3, tokenCount: 5, maxTokens: 4 }],
    unknown: [1],
    unknownWords: [{ index: 1, words: ["zebra"] }],
  });
  t.deepEqual(second, {
    rows: 4,
    columns: 4,
    values: Float32Array.of(1, 4, 5, 2, 1, 7, 2, 0, 1, 3, 2, 0, 1, 3, 2, 0),
    truncated: [{ index: 0, tokenCount: 5, maxTokens: 4 }],
    unknown: [2, 3],
    unknownWords: [
      { index: 2, words: ["zebra"] },
      { index: 3, words: ["zebra"] },
    ],
  });
});

test("the texts that were not asked for longest make room", async (t) => {
  // Three texts of one letter: 16 bytes of numbers, 2 of text and 750 each.
  const { encoder, asked } = await openCached(t, 3 * 768);
  await encoder.encode(["a", "b", "c"]);
  await encoder.encode(["a"]);
  await encoder.encode(["d"]);
  await encoder.encode(["a", "c", "d"]);
  await encoder.encode(["b"]);
  await encoder.encode(["d", "a"]);
  t.deepEqual(asked, [["a", "b", "c"], ["d"], ["b"], ["a"]]);
});

test("a text that is larger than the cache is encoded and not kept", async (t) => {
  const { encoder, asked } = await openCached(t, 800);
  const long = "a ".repeat(100);
  await encoder.encode([long]);
  await encoder.encode(["a", long]);
  await encoder.encode(["a"]);
  t.deepEqual(asked, [[long], ["a", long]]);
});

test("a wrong text is told by its place in the whole list, and changes nothing", async (t) => {
  const { encoder, asked } = await openCached(t, 10_000);
  await encoder.encode(["a", "b"]);
  await assertRefused(t, () => encoder.encode(["a", "b", "c", " "]), {
    reason: "FIELD_INVALID",
    message: /^text 3 is empty/,
  });
  await t.throwsAsync(() => encoder.encode(["a"], { signal: AbortSignal.abort(new Error("early")) }), {
    message: "early",
  });
  t.is(asked.length, 1);
});
