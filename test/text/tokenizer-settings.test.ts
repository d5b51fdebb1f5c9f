import test from "ava";
import { parseTokenizerSettings } from "../../src/text/tokenizer-settings.js";
import { assertRefused } from "../helpers/assert-refused.js";

test("a tokenizer that says nothing has no limit and fills up with token 0", (t) => {
  t.deepEqual(parseTokenizerSettings({ truncation: null, padding: null }, {}, "x"), {
    cutSide: "right",
    padId: 0,
    padSide: "right",
    padMultiple: 1,
  });
});

test("truncation and padding are read as the format has them", (t) => {
  const truncation = { direction: "Left", max_length: 77, strategy: "LongestFirst", stride: 0 };
  const padding = { strategy: { Fixed: 64 }, direction: "Left", pad_to_multiple_of: 8, pad_id: 5, pad_token: "<p>" };
  t.deepEqual(parseTokenizerSettings({ truncation, padding }, { model_max_length: 12 }, "x"), {
    maxTokens: 77,
    cutSide: "left",
    padId: 5,
    padSide: "left",
    padLength: 64,
    padMultiple: 8,
  });
});

test("tokenizer_config.json is asked where tokenizer.json is silent", (t) => {
  const tokenizer = { model: { vocab: { "<p>": 3 } }, added_tokens: [{ id: 9, content: "<end>" }] };
  const parse = (config: Readonly<Record<string, unknown>>) => parseTokenizerSettings(tokenizer, config, "x");
  t.like(parse({ model_max_length: 77, pad_token: "<p>" }), { maxTokens: 77, padId: 3 });
  t.like(parse({ model_max_length: 1e30, pad_token: { content: "<end>" } }), { maxTokens: undefined, padId: 9 });
  t.like(parse({ pad_token: "toString" }), { padId: 0 });
});

for (const [key, sections, message] of [
  ["truncation", { truncation: 7 }, "x: truncation is 7; it must be an object or null"],
  [
    "truncation.max_length",
    { truncation: { max_length: 0 } },
    "x: truncation.max_length is 0; it must be a whole number, at least 1",
  ],
  [
    "padding.strategy",
    { padding: { strategy: "Longest", pad_id: 0 } },
    'x: padding.strategy is "Longest"; it must be "BatchLongest" or {"Fixed": length}',
  ],
  ["padding.pad_id", { padding: {} }, "x: padding.pad_id is absent; it must be a whole number, at least 0"],
  [
    "padding.direction",
    { padding: { pad_id: 0, direction: "up" } },
    'x: padding.direction is "up"; it must be "Left" or "Right"',
  ],
] as const) {
  test(`a wrong ${key} is refused, with what it is and may be`, async (t) => {
    await assertRefused(t, () => parseTokenizerSettings(sections, {}, "x"), {
      reason: "HEADER_MALFORMED",
      message,
      facts: { key },
    });
  });
}
