import test from "ava";
import fc from "fast-check";
import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { parseLabels } from "../../../src/training/datasets/parse-labels.js";

test("a text is one label, or several between separators", (t) => {
  t.deepEqual(parseLabels(" a photo of a cat, asleep "), ["a photo of a cat, asleep"]);
  t.deepEqual(parseLabels("cat, dog,, cat ", ","), ["cat", "dog"]);
  t.deepEqual(parseLabels("(smiling) girl [by the sea]"), ["(smiling) girl [by the sea]"]);
  t.deepEqual(parseLabels("  "), []);
});

test("lists come in brackets or parentheses, with a comma at the end or not", (t) => {
  t.deepEqual(parseLabels("['a', \"b's\", 'c\\'s', 'd\\n']"), ["a", "b's", "c's", "d"]);
  t.deepEqual(parseLabels("('a',)"), ["a"]);
  t.deepEqual(parseLabels("[ 1 , -2.5 ]"), ["1", "-2.5"]);
  t.deepEqual(parseLabels("[]"), []);
});

test("escapes of Python and of JSON stand for their characters", (t) => {
  t.deepEqual(parseLabels('["caf\\u00e9", "\\ud83d\\udc36", "a\\/b"]'), ["café", "🐶", "a/b"]);
  t.deepEqual(parseLabels("['\\x1b[0m', '\\U0001f436', '\\u00E9', '\\Uffffffff']"), [
    "\u001b[0m",
    "🐶",
    "é",
    "Uffffffff",
  ]);
});

test("what is no list of texts and numbers is refused", (t) => {
  for (const text of ["['a'", "['a' 'b']", "[1, os.remove('x')]", "['a',,'b']", "['a']]", "[[1]]"]) {
    if (text === "[[1]]") t.deepEqual(parseLabels(text), [text]);
    else t.throws(() => parseLabels(text), { instanceOf: InvalidInputError, message: /^the labels/ }, text);
  }
});

test("every list that Python or JSON writes comes back", (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme" }), { maxLength: 20 }), (labels) => {
      const wanted = [...new Set(labels.map((label) => label.trim()).filter((label) => label !== ""))];
      const quote = (label: string): string => `'${label.replace(/[\\']/g, "\\$&")}'`;
      t.deepEqual(parseLabels(`[${labels.map(quote).join(", ")}]`), wanted);
    }),
  );
});

test("whatever stands there is parsed or refused, never more", (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("[", "]", "(", ")", "'", '"', "\\", ",", " ", "1", "a", "u", "U") }),
      (text) => {
        try {
          t.true(Array.isArray(parseLabels(text)));
        } catch (error) {
          t.true(error instanceof InvalidInputError, text);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
