import test from "ava";
import fc from "fast-check";
import { CommandError } from "../../src/cli/exit-codes.js";
import { parseFilter } from "../../src/cli/parse-filter.js";
import type { Filter, Scalar } from "../../src/vectors/filter.js";

const license = { field: "meta.license", op: "eq", value: "mit" } as const;
const tree = { field: "tree", op: "eq", value: "sdxl" } as const;
const rank = { field: "meta.rank", op: "gte", value: 16 } as const;

for (const [source, expected] of [
  ["meta.license = mit", license],
  ['meta.license=="mit"', license],
  ["meta.license='mit'", license],
  ["meta.license = mit and not tree = sdxl", { and: [license, { not: tree }] }],
  ["meta.license = mit or tree = sdxl and meta.rank >= 16", { or: [license, { and: [tree, rank] }] }],
  ["(meta.license = mit or tree = sdxl) AND meta.rank>=16", { and: [{ or: [license, tree] }, rank] }],
  ["meta.license in (mit, 'apache-2.0')", { field: "meta.license", op: "in", value: ["mit", "apache-2.0"] }],
  ["meta.rank not in (8)", { not: { field: "meta.rank", op: "in", value: [8] } }],
  ["exists meta.author", { exists: "meta.author" }],
  ["not exists meta.author", { not: { exists: "meta.author" } }],
  ["meta.nsfw != true", { field: "meta.nsfw", op: "ne", value: true }],
  ['meta.version = "8"', { field: "meta.version", op: "eq", value: "8" }],
  ['meta."training comment" = x', { field: "meta.training comment", op: "eq", value: "x" }],
  [String.raw`meta.a = "say \"so\" \\"`, { field: "meta.a", op: "eq", value: String.raw`say "so" \ `.trimEnd() }],
  ["claim.rank = 8", { field: "claim.rank", op: "eq", value: 8 }],
  ["claim.rank = '8'", { field: "claim.rank", op: "eq", value: "8" }],
  ["claim.steps >= 1e2", { field: "claim.steps", op: "gte", value: 100 }],
  ["claim.steps in (30, '30.0', x)", { field: "claim.steps", op: "in", value: [30, "30.0", "x"] }],
  ["claim.seed = 007", { field: "claim.seed", op: "eq", value: "007" }],
  ["claim.nsfw = true", { field: "claim.nsfw", op: "eq", value: "true" }],
  ["id = 8", { field: "id", op: "eq", value: "8" }],
  ["created_ms > 2026-05-01", { field: "created_ms", op: "gt", value: Date.UTC(2026, 4, 1) }],
  ["updated_ms < 17", { field: "updated_ms", op: "lt", value: 17 }],
  ["meta.x < -1.5e3", { field: "meta.x", op: "lt", value: -1500 }],
] as const satisfies readonly (readonly [string, Filter])[]) {
  test(`the filter ${source} is read`, (t) => {
    t.deepEqual(parseFilter(source), expected);
  });
}

for (const [source, message] of [
  ["", /character 1: the end: a field was expected/],
  ["license = mit", /character 1: "license": no field has this name; what was said of a model is meta\.license/],
  ["meta.license = mit andd tree = x", /character 20: "andd": "and", "or" or the end was expected.* mit >>> andd tree/],
  ["meta.license mit", /character 14: "mit": a comparison was expected: = == != /],
  ["meta.license =", /character 15: the end: a value was expected.* >>> \(end\)/],
  ["meta.license = 'mit", /character 16: a quote that is not closed/],
  ["meta.rank ! 8", /character 11: "!" alone/],
  ["(tree = a or tree = b", /character 22: the end: "\)" was expected for the "\(" at character 1/],
  ["tree = a)", /character 9: "\)": .*no parenthesis is open/],
  ["tree in a", /character 9: "a": "\(" was expected/],
  ["tree in (a b)", /character 12: "b": "," or "\)" was expected/],
  ["meta.nsfw > true", /character 13: "true": true and false are not ordered/],
  ["created_ms > yesterday", /created_ms is a time/],
  [String.raw`meta.a = "\n"`, /a backslash stands before a quote/],
  [`${"not ".repeat(70)}tree = a`, /64 deep/],
  [Array.from({ length: 1001 }, () => "tree = a").join(" or "), /1000 conditions/],
] as const) {
  test(`the filter ${source.slice(0, 40)} is refused with its place`, (t) => {
    const error = t.throws(() => parseFilter(source), { instanceOf: CommandError });
    t.is(error?.exitCode, 2);
    t.regex(error?.message ?? "", message);
  });
}

const quoted = (text: string): string => `"${text.replace(/[\\"]/g, String.raw`\$&`)}"`;

const value: fc.Arbitrary<Scalar> = fc.oneof(
  fc.string({ unit: "binary" }),
  // Digits beyond 2^53 are a text.
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !/^-?\d{16,}$/.test(String(number))),
  fc.integer(),
  fc.boolean(),
);
const field = fc.string({ minLength: 1, unit: "binary" }).map((name) => `meta.${name}`);
const condition: fc.Arbitrary<Filter> = fc.oneof(
  fc.record({ field, op: fc.constantFrom("eq" as const, "ne" as const), value }),
  fc.record({ field, op: fc.constant("in" as const), value: fc.array(value, { minLength: 1, maxLength: 3 }) }),
  field.map((exists) => ({ exists })),
);
const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small" },
    condition,
    fc.array(tie("filter"), { minLength: 2, maxLength: 3 }).map((and) => ({ and })),
    fc.array(tie("filter"), { minLength: 2, maxLength: 3 }).map((or) => ({ or })),
    tie("filter").map((not) => ({ not })),
  ),
}));

function toValue(scalar: Scalar): string {
  if (typeof scalar === "string") return quoted(scalar);
  return Object.is(scalar, -0) ? "-0" : String(scalar);
}

function toSource(one: Filter): string {
  if ("and" in one) return `(${one.and.map(toSource).join(" and ")})`;
  if ("or" in one) return `(${one.or.map(toSource).join(" or ")})`;
  if ("not" in one) return `not ${toSource(one.not)}`;
  const name = (whole: string): string => `meta.${quoted(whole.slice("meta.".length))}`;
  if ("exists" in one) return `exists ${name(one.exists)}`;
  if (one.op === "in") return `${name(one.field)} in (${one.value.map(toValue).join(",")})`;
  return `${name(one.field)}${one.op === "eq" ? "=" : "!="}${toValue(one.value)}`;
}

test("every filter that is written out is read back", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(filter, (one) => {
        t.deepEqual(parseFilter(toSource(one)), one);
      }),
      { numRuns: 300 },
    ),
  );
});

test("whatever is typed gives a filter or an error of the command line", (t) => {
  const word = fc.constantFrom("meta.a", "tree", "=", "in", "(", ")", "not", "and", "or", "exists", '"', "8", ",", "!");
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 12 }), (words) => {
        try {
          parseFilter(words.join(" "));
        } catch (error) {
          if (!(error instanceof CommandError)) throw error;
        }
      }),
    ),
  );
});
