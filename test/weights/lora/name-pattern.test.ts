import test from "ava";
import fc from "fast-check";
import { InvalidInputError, LimitExceededError } from "../../../src/errors/probestream-error.js";
import { compilePattern } from "../../../src/weights/lora/name-pattern.js";
import { createPatternTable } from "../../../src/weights/lora/pattern-table.js";

const plenty = () => ({ steps: 1_000_000 });

test("patterns match what PEFT's do: JavaScript's engine, asked in the same way, agrees", (t) => {
  const atoms = [
    "a",
    "b",
    "1",
    ".",
    "\\.",
    "\\d",
    "\\w",
    "\\D",
    "[ab]",
    "[^a1]",
    "[a-b.]",
    "(a|b1)",
    "(?:a.|b)*",
    "(|a)",
    "^",
    "$",
  ];
  const counts = ["", "", "*", "+", "?", "*?", "{2}", "{1,}", "{0,2}"];
  const pattern = fc
    .array(fc.tuple(fc.constantFrom(...atoms), fc.constantFrom(...counts)), { minLength: 1, maxLength: 5 })
    // A count after ^ or $ or after another means nothing, and JavaScript refuses it.
    .map((parts) => parts.map(([atom, count]) => (/^[\^$]$|\*$/.test(atom) ? atom : atom + count)).join(""));
  fc.assert(
    fc.property(pattern, fc.stringMatching(/^[ab1.]{0,8}$/), (text, name) => {
      const expected = new RegExp(`^(?:.*\\.)?(?:${text})$`).test(name);
      t.is(compilePattern(text).matches(name, plenty()), expected, `${text} on ${name}`);
    }),
    { numRuns: 2000 },
  );
});

for (const pattern of [
  "a(",
  "a)",
  "(?=a)",
  "(?<n>a)",
  "\\1",
  "\\b",
  "*a",
  "a**",
  "a{9999}",
  "a{2,1}",
  "[a",
  "a\\",
  "[b-a]",
  "(".repeat(40),
]) {
  test(`the pattern ${pattern} is refused`, (t) => {
    const error = t.throws(() => compilePattern(pattern), { instanceOf: InvalidInputError });
    t.is(error?.reason, "FORMAT_REFUSED");
  });
}

test("a pattern that takes other engines years is decided at once, one that is too large is refused", (t) => {
  const budget = plenty();
  t.false(compilePattern("(a*)*(a|a|aa)*b").matches("a".repeat(300), budget));
  t.true(budget.steps > 0);
  t.throws(() => compilePattern("((a{50}){50}){50}"), { instanceOf: InvalidInputError });
  t.throws(() => compilePattern("(a*)*b").matches("a".repeat(300), { steps: 100 }), { instanceOf: LimitExceededError });
});

test("of several patterns the first that matches counts, plain names or not", (t) => {
  const table = createPatternTable(
    new Map([
      ["^model.k", 1],
      ["layers.0.k", 2],
      ["layers\\.\\d+\\.(q|k)", 3],
      ["k", 4],
    ]),
  );
  const find = (name: string) => table.find(name, plenty());
  t.deepEqual(
    ["model.k", "a.model.k", "model.layers.0.k", "layers.0.k", "model.layers.12.k", "layers.1.q", "xk", "k", "k.x"].map(
      find,
    ),
    [1, 4, 2, 2, 3, 3, undefined, 4, undefined],
  );
});
