import test from "ava";
import fc from "fast-check";
import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { parseTagFrequency } from "../../../src/training/datasets/parse-tag-frequency.js";

test("the tags at least half as frequent as the most frequent one are the labels", (t) => {
  const text = JSON.stringify({
    "10_fox": { "red fox": 12, forest: 6, snow: 5, " tail ": 3 },
    "2_more": { "red fox": 4, forest: 2, tail: 5, "": 40, __proto__: 1 },
  });
  t.deepEqual(parseTagFrequency(text), ["red fox", "forest", "tail"]);
});

test("equally frequent tags come by name, and odd characters stay", (t) => {
  t.deepEqual(parseTagFrequency('{"1": {"b": 1, "\\u001b[0m": 1, "猫": 1, "__proto__": 1}}'), [
    "\u001b[0m",
    "__proto__",
    "b",
    "猫",
  ]);
});

test("tags that never occur are none", (t) => {
  t.deepEqual(parseTagFrequency("{}"), []);
  t.deepEqual(parseTagFrequency('{"a": {}, "b": {"c": 0}}'), []);
});

test("what is not a frequency per tag and folder is refused", (t) => {
  const captions = JSON.stringify({
    a: Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`caption ${i}`, 1])),
  });
  for (const text of [
    "",
    "None",
    "[]",
    "3",
    '{"a": 3}',
    '{"a": ["b"]}',
    '{"a": {"b": "3"}}',
    '{"a": {"b": -1}}',
    captions,
  ]) {
    t.throws(() => parseTagFrequency(text), { instanceOf: InvalidInputError, message: /ss_tag_frequency/ }, text);
  }
});

test("whatever JSON stands there is parsed or refused, never more", (t) => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      try {
        t.true(Array.isArray(parseTagFrequency(text)));
      } catch (error) {
        t.true(error instanceof InvalidInputError, text);
      }
    }),
  );
});
