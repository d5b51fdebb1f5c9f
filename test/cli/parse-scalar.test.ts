import test from "ava";
import { collectMetadata, parseAssignment, parseScalar } from "../../src/cli/parse-scalar.js";

for (const [word, expected] of [
  ["mit", "mit"],
  ["", ""],
  ["8", 8],
  ["-0.5", -0.5],
  ["2e-3", 0.002],
  ["true", true],
  ["false", false],
  ["True", "True"],
  ["007", "007"],
  ["1.2.3", "1.2.3"],
  ["12345678901234567890", "12345678901234567890"],
  ["1e999", "1e999"],
  ["Infinity", "Infinity"],
  ['"8"', "8"],
  ['"a \\"b\\""', 'a "b"'],
  ['"half', '"half'],
] as const) {
  test(`${JSON.stringify(word)} stands for ${JSON.stringify(expected)}`, (t) => {
    t.is(parseScalar(word), expected);
  });
}

test("an assignment ends its name at the first =, and the name may begin with meta.", (t) => {
  t.deepEqual(parseAssignment("url=https://x/?a=b"), { name: "url", value: "https://x/?a=b" });
  t.deepEqual(parseAssignment("meta.rank=16"), { name: "rank", value: 16 });
  t.deepEqual(parseAssignment("note="), { name: "note", value: "" });
  for (const wrong of ["license", "=mit", "meta.=x", ""]) {
    t.throws(() => parseAssignment(wrong), { message: /NAME=VALUE/ });
  }
});

test("assignments are collected, the last of a name counting, whatever its name", (t) => {
  const collected = ["a=1", "__proto__=x", "a=2"].reduce<Record<string, string | number | boolean>>(
    (so, one) => collectMetadata(one, so),
    {},
  );
  t.deepEqual(Object.entries(collected), [
    ["a", 2],
    ["__proto__", "x"],
  ]);
});
