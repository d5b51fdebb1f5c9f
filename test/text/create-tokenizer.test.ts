import { readFile } from "node:fs/promises";
import test from "ava";
import { createTokenizer } from "../../src/text/create-tokenizer.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { letterTokenizer } from "../helpers/echo-encoder.js";

async function readGolden<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(`test/fixtures/golden/${name}`, "utf8")) as T;
}

test("token ids are those of CLIP's authors, for every text of the golden list", async (t) => {
  const description = await readGolden<Record<string, unknown>>("clip-tokenizer.json");
  const cases = await readGolden<{ text: string; ids: number[] }[]>("clip-tokens.json");
  const tokenizer = createTokenizer(description, "clip");
  t.is(cases.length, 23);
  for (const { text, ids } of cases) t.deepEqual(tokenizer.toTokens(text, 77, "right"), ids, text);
});

test("a text that is cut keeps the tokens that mark its begin and end", (t) => {
  const tokenizer = createTokenizer(letterTokenizer, "letters");
  t.deepEqual(tokenizer.toTokens("a b c d", 6, "right"), [1, 4, 5, 6, 7, 2]);
  t.deepEqual(tokenizer.toTokens("a b c d", 5, "right"), [1, 4, 5, 6, 2]);
  t.deepEqual(tokenizer.toTokens("a b c d", 4, "left"), [1, 6, 7, 2]);
  t.deepEqual(tokenizer.toTokens("a b c d", 2, "left"), [1, 2]);
  t.deepEqual(tokenizer.toTokens("a b c d", 1, "right"), [1]);
  // A text that begins with the mark itself is cut at its end all the same.
  t.deepEqual(tokenizer.toTokens("<s> <s> b", 4, "right"), [1, 1, 1, 2]);
});

test("an unknown word is the unk_token of a WordLevel model", (t) => {
  const tokenizer = createTokenizer(letterTokenizer, "letters");
  t.deepEqual(tokenizer.toTokens("a zebra constructor", 9, "right"), [1, 4, 3, 3, 2]);
});

test("an unknown word is refused where the vocabulary has no token for such", async (t) => {
  const { unk_token: _, ...model } = letterTokenizer.model;
  const tokenizer = createTokenizer({ ...letterTokenizer, model }, "letters.json");
  t.deepEqual(tokenizer.toTokens("a", 9, "right"), [1, 4, 2]);
  await assertRefused(t, () => tokenizer.toTokens("a zebra", 9, "right"), {
    kind: "invalid-input",
    reason: "FIELD_INVALID",
    message: '"zebra" is no token of letters.json, which names no unk_token for unknown ones',
  });
});

test("a description without a model, or with parts that are unknown, is refused", async (t) => {
  const { model: _, ...headless } = letterTokenizer;
  for (const description of [{}, headless, { ...letterTokenizer, normalizer: { type: "Rot13" } }]) {
    await assertRefused(t, () => createTokenizer(description, "x.json"), {
      kind: "invalid-input",
      reason: "HEADER_MALFORMED",
      message: /^x\.json must describe a tokenizer of Hugging Face's tokenizers: ./,
    });
  }
});
