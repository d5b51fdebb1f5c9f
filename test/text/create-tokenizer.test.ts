import test from "ava";
import { createTokenizer } from "../../src/text/create-tokenizer.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { letterTokenizer } from "../helpers/echo-encoder.js";
import { readClipCases, readClipTokenizer } from "../helpers/golden-clip.js";

test("token ids are those of CLIP's authors, for every text of the golden list", async (t) => {
  const tokenizer = createTokenizer(await readClipTokenizer(), "clip");
  const cases = await readClipCases();
  t.is(cases.length, 23);
  for (const { text, input_ids: ids, truncated } of cases) {
    const found = tokenizer.toTokens(text, 77, "right");
    t.deepEqual(found.ids, ids, text);
    t.is(found.tokenCount > 77, truncated, text);
    t.false(found.isUnknown, text);
    t.deepEqual(found.unknownWords, [], text);
  }
});

test("a text is unknown if nothing but marks and unknown words is in it", async (t) => {
  const letters = createTokenizer(letterTokenizer, "letters");
  const isUnknown = (text: string) => letters.toTokens(text, 4, "right").isUnknown;
  t.deepEqual(["zebra", "zebra <u> </s>", "", "zebra a", "a"].map(isUnknown), [true, true, true, false, false]);
  const pieces = {
    ...letterTokenizer,
    post_processor: null,
    model: {
      type: "Unigram",
      unk_id: 0,
      vocab: [
        ["<u>", 0],
        ["a", -1],
        ["b", -2],
      ],
    },
  };
  const unigram = createTokenizer(pieces, "pieces");
  t.deepEqual(
    ["z", "az"].map((text) => unigram.toTokens(text, 4, "right").isUnknown),
    [true, false],
  );
  t.is(letters.toTokens("a b c d a", 4, "right").tokenCount, 7);
});

test("words that become the token for unknown ones are told, the others are not", (t) => {
  const wordsOf = (description: Readonly<Record<string, unknown>>, text: string) =>
    createTokenizer(description, "letters").toTokens(text, 4, "right").unknownWords;
  t.deepEqual(wordsOf(letterTokenizer, "a zebra b horse c zebra"), ["zebra", "horse"]);
  t.deepEqual(wordsOf(letterTokenizer, "a b"), []);
  const { unk_token: _, ...model } = letterTokenizer.model;
  t.deepEqual(wordsOf({ ...letterTokenizer, model }, "a b"), []);
  // Where the token is that of the end as well, as CLIP's is, it says nothing.
  t.deepEqual(wordsOf({ ...letterTokenizer, model: { ...model, unk_token: "</s>" } }, "a zebra"), []);
});

test("a text that is cut keeps the tokens that mark its begin and end", (t) => {
  const tokenizer = createTokenizer(letterTokenizer, "letters");
  t.deepEqual(tokenizer.toTokens("a b c d", 6, "right").ids, [1, 4, 5, 6, 7, 2]);
  t.deepEqual(tokenizer.toTokens("a b c d", 5, "right").ids, [1, 4, 5, 6, 2]);
  t.deepEqual(tokenizer.toTokens("a b c d", 4, "left").ids, [1, 6, 7, 2]);
  t.deepEqual(tokenizer.toTokens("a b c d", 2, "left").ids, [1, 2]);
  t.deepEqual(tokenizer.toTokens("a b c d", 1, "right").ids, [1]);
  // A text that begins with the mark itself is cut at its end all the same.
  t.deepEqual(tokenizer.toTokens("<s> <s> b", 4, "right").ids, [1, 1, 1, 2]);
});

test("an unknown word is the unk_token of a WordLevel model", (t) => {
  const tokenizer = createTokenizer(letterTokenizer, "letters");
  t.deepEqual(tokenizer.toTokens("a zebra constructor", 9, "right").ids, [1, 4, 3, 3, 2]);
});

test("an unknown word is refused where the vocabulary has no token for such", async (t) => {
  const { unk_token: _, ...model } = letterTokenizer.model;
  const tokenizer = createTokenizer({ ...letterTokenizer, model }, "letters.json");
  t.deepEqual(tokenizer.toTokens("a", 9, "right").ids, [1, 4, 2]);
  await assertRefused(t, () => tokenizer.toTokens("a zebra", 9, "right").ids, {
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
