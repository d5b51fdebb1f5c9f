import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { parseExportLine, toEndLine, toHeadLine, toRecordLine } from "../../src/cli/export-lines.js";
import { openExport } from "../../src/cli/read-export.js";
import type { FullRecord } from "../../src/retrieval/retrieval-port.js";
import type { VectorRecord } from "../../src/vectors/vector-record.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const spaceId = "5a".repeat(32);
const head = { spaceId, expertName: "loras", width: 4 };

const text = fc.string({ unit: "grapheme" });
const record: fc.Arbitrary<FullRecord> = fc.record({
  id: fc.string({ unit: "grapheme", minLength: 1 }),
  spaceId: fc.constant(spaceId),
  vector: fc.float32Array({ minLength: 4, maxLength: 4, noNaN: true, noDefaultInfinity: true }),
  weightsHash: fc.constantFrom("", "ab".repeat(32)),
  fileHash: fc.constantFrom("", "cd".repeat(32)),
  tree: text,
  base: text,
  metadata: fc.dictionary(text, fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean())),
  claims: fc.dictionary(text, text),
  createdMs: fc.nat(),
  updatedMs: fc.nat(),
});

test("a record comes back from its line bit for bit", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(record, (one) => {
        const line = parseExportLine(toRecordLine(one));
        if (!("record" in line)) throw new Error(JSON.stringify(line));
        const { vector, metadata, ...rest } = line.record;
        t.deepEqual(new Uint32Array(vector.buffer), new Uint32Array(one.vector.slice().buffer));
        t.deepEqual({ ...rest, spaceId, claims: { ...rest.claims } }, { ...plain(one), claims: { ...one.claims } });
        // JSON has one zero.
        for (const [name, value] of Object.entries(one.metadata)) t.true(metadata[name] === value);
      }),
    ),
  );
});

function plain({ vector: _, metadata: __, ...rest }: FullRecord): Omit<FullRecord, "vector" | "metadata"> {
  return rest;
}

const one: FullRecord = {
  ...{ id: "a", spaceId, vector: Float32Array.of(1, 2, 3, 4), weightsHash: "", fileHash: "", tree: "", base: "" },
  ...{ metadata: {}, claims: {}, createdMs: 1, updatedMs: 2 },
};

for (const [title, change, wrong] of [
  ["no id", { id: "" }, "it has no id"],
  ["a tree that is a number", { tree: 5 }, 'the record "a": tree is no text'],
  ["metadata with a list", { metadata: { x: [] } }, 'the record "a": metadata must hold texts, numbers and truths'],
  ["claims with a number", { claims: { x: 1 } }, 'the record "a": claims must hold texts'],
  ["no time", { createdMs: "now" }, 'the record "a": createdMs and updatedMs must be times'],
  ["three bytes", { representation: "AAAA" }, 'the record "a": representation is no base64 of float32 numbers'],
  ["no base64", { representation: "***" }, 'the record "a": representation is no base64 of float32 numbers'],
] as const) {
  test(`a record with ${title} is no record`, (t) => {
    t.deepEqual(parseExportLine(JSON.stringify({ ...JSON.parse(toRecordLine(one)), ...change })), { wrong });
  });
}

async function readAll(path: string): Promise<readonly VectorRecord[]> {
  const reader = await openExport(path);
  const records: VectorRecord[] = [];
  for await (const batch of reader.batches()) records.push(...batch);
  return records;
}

test("a file of records is read whole, and one that was cut off says so after its records", async (t) => {
  const folder = await createTemporaryFolder(t);
  const path = join(folder, "all.jsonl");
  const records = Array.from({ length: 2300 }, (_, index) => ({ ...one, id: `model ${index}` }));
  await writeFile(path, `${[toHeadLine(head), ...records.map(toRecordLine), toEndLine(2300)].join("\n")}\n`);
  t.deepEqual(
    (await readAll(path)).map(({ id }) => id),
    records.map(({ id }) => id),
  );
  const whole = await readFile(path, "utf8");
  await writeFile(path, whole.slice(0, whole.lastIndexOf("\n", whole.length - 2) + 1));
  const reader = await openExport(path);
  let count = 0;
  const read = async (): Promise<void> => {
    for await (const batch of reader.batches()) count += batch.length;
  };
  await t.throwsAsync(read, { message: /was cut off: .* missing after 2300$/ });
  t.is(count, 2300);
});

for (const [title, lines, message] of [
  ["is empty", [], /it is empty/],
  ["begins with a record", [toRecordLine(one)], /does not begin with the line/],
  ["is of another format", ['{"format":"other/1"}'], /its format is "other\/1"/],
  ["has a line of nonsense", [toHeadLine(head), "nonsense"], /line 2: no JSON object/],
  [
    "has a wider representation",
    [toHeadLine({ ...head, width: 3 }), toRecordLine(one)],
    /line 2: the representation of "a" has 4 numbers; the first line says 3/,
  ],
  ["counts otherwise", [toHeadLine(head), toRecordLine(one), toEndLine(2)], /line 3: it tells of 2 records/],
  ["goes on behind its end", [toHeadLine(head), toEndLine(0), toRecordLine(one)], /line 3: something follows/],
] as const) {
  test(`an export that ${title} is refused`, async (t) => {
    const path = join(await createTemporaryFolder(t), "e.jsonl");
    await writeFile(path, lines.join("\n"));
    await t.throwsAsync(() => readAll(path), { message });
  });
}

test("an export that is not there is told of with its name", async (t) => {
  await t.throwsAsync(() => openExport("/nowhere/e.jsonl"), { message: /nowhere\/e\.jsonl/ });
});
