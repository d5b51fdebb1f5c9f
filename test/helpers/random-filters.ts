import fc from "fast-check";
import type { Filter, Scalar } from "../../src/vectors/filter.js";
import type { NewRecord } from "../../src/vectors/vector-record.js";
import { createRecord, toHash } from "./vector-records.js";

/** Names that a careless store takes for something else: SQL, JSON paths, properties of JavaScript's objects. */
const names = [
  "name",
  "a.b",
  "$.a[0]",
  "a'; drop table records; --",
  'quote"d',
  "back\\slash",
  "größe",
  "作者",
  "🎨",
  "__proto__",
  "constructor",
  "%_",
  "{a}",
];

/** Values that lie close together, so that random filters meet random records. */
const scalar: fc.Arbitrary<Scalar> = fc.oneof(
  fc.constantFrom("", "a", "b", "B", "ab", "1", "true", "'", '"', "\\", "%", "\uffff", "🎨", "é", "e\u0301", "null"),
  fc.constantFrom("1.0", "+1", "-1e0", ".5", "1e1", "9007199254740993", "1.10", " 1", "0x1", "NaN"),
  fc.constantFrom(0, 1, -1, 0.5, 10, 2 ** 53, -1e300, 5e-324, 1.1),
  fc.boolean(),
);

const text = scalar.filter((value) => typeof value === "string");

/** Fields of all kinds. */
const field = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...names.map((name) => `meta.${name}`)) },
  { weight: 2, arbitrary: fc.constantFrom(...names.map((name) => `claim.${name}`)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("id", "weights_hash", "file_hash", "tree", "base", "created_ms", "updated_ms"),
  },
);

const known = fc.oneof(
  { weight: 6, arbitrary: scalar },
  { weight: 1, arbitrary: fc.constantFrom<Scalar>("record-3", toHash(1), "tree-1", 1500, 2000) },
);

const condition: fc.Arbitrary<Filter> = fc.oneof(
  field.map((exists): Filter => ({ exists })),
  fc.record({ field, op: fc.constantFrom("eq", "ne"), value: known }),
  fc.record({
    field,
    op: fc.constantFrom("lt", "lte", "gt", "gte"),
    value: known.filter((value) => typeof value !== "boolean"),
  }),
  fc.record({ field, op: fc.constant("in" as const), value: fc.array(known, { minLength: 1, maxLength: 4 }) }),
);

/** Random filters over the fields of {@link randomRecords}, a few levels deep. */
export const randomFilter: fc.Arbitrary<Filter> = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    condition,
    fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((and): Filter => ({ and })),
    fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((or): Filter => ({ or })),
    tie("filter").map((not): Filter => ({ not })),
  ),
})).filter;

/** Forty records with random metadata and claims; one of them, the first, has every field. */
export const randomRecords: fc.Arbitrary<readonly NewRecord[]> = fc
  .array(
    fc.record({
      metadata: fc.uniqueArray(fc.tuple(fc.constantFrom(...names), scalar), {
        maxLength: 6,
        selector: ([name]) => name,
      }),
      claims: fc.uniqueArray(fc.tuple(fc.constantFrom(...names), text), { maxLength: 3, selector: ([name]) => name }),
    }),
    { minLength: 39, maxLength: 39 },
  )
  .map((all) => [
    createRecord("record-all", 7, {
      metadata: Object.fromEntries(names.map((name): [string, Scalar] => [name, 0])),
      claims: Object.fromEntries(names.map((name): [string, string] => [name, "a"])),
      createdMs: 0,
      updatedMs: 1,
    }),
    ...all.map(({ metadata, claims }, index) =>
      createRecord(`record-${index}`, index, {
        metadata: Object.fromEntries(metadata),
        claims: Object.fromEntries(claims) as Record<string, string>,
        weightsHash: index % 3 === 0 ? "" : toHash(index % 5),
        fileHash: index % 4 === 0 ? toHash(index) : "",
        tree: index % 2 === 0 ? "" : `tree-${index % 4}`,
        base: index % 7 === 0 ? "base" : "",
        createdMs: 1000 + 100 * index,
        updatedMs: 2000,
      }),
    ),
  ]);
