import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { InvalidInputError, NotFoundError } from "../../../src/errors/probestream-error.js";
import type { LabelFile } from "../../../src/training/datasets/label-file.js";
import { readLabelFile } from "../../../src/training/datasets/read-label-file.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

async function read(
  t: ExecutionContext,
  name: string,
  content: string | Uint8Array,
  separator?: string,
): Promise<LabelFile> {
  const path = join(await createTemporaryFolder(t), name);
  await writeFile(path, content);
  return readLabelFile(path, separator === undefined ? {} : { separator });
}

/** Rows as `[line, path, labels, split]`, or `[line, path, what is wrong]`. */
function toShort({ rows }: LabelFile) {
  return rows.map(({ line, path, content }) =>
    "labels" in content ? [line, path, content.labels, content.split] : [line, path, content.kind],
  );
}

test("a CSV file names a label and a split for each path", async (t) => {
  const file = await read(t, "a.csv", "path,label,split,notes\na.safetensors,cat,train,x\nb.safetensors,dog,,\n");
  t.deepEqual(file.malformed, []);
  t.deepEqual(toShort(file), [
    [2, "a.safetensors", ["cat"], "train"],
    [3, "b.safetensors", ["dog"], undefined],
  ]);
});

for (const [name, lineEnd] of [
  ["LF", "\n"],
  ["CRLF", "\r\n"],
  ["CR", "\r"],
] as const) {
  test(`quoted commas, quotes and line ends are kept, and a byte order mark is not: ${name}`, async (t) => {
    const lines = [
      "\ufeffpath,text",
      '"a, ""b"".safetensors","one',
      'two, ""three"""',
      "",
      'c,"  x\u001b[31m é🐶 "',
      "",
    ];
    const file = await read(t, "a.CSV", lines.join(lineEnd));
    t.deepEqual(file.malformed, []);
    t.deepEqual(toShort(file), [
      [2, 'a, "b".safetensors', [`one${lineEnd}two, "three"`], undefined],
      [5, "c", ["x\u001b[31m é🐶"], undefined],
    ]);
  });
}

test("lines that end differently do not run into each other", async (t) => {
  const file = await read(t, "a.csv", "path,label\r\na,x\nb,y\r\nc,z");
  t.deepEqual(toShort(file), [
    [2, "a", ["x"], undefined],
    [3, "b", ["y"], undefined],
    [4, "c", ["z"], undefined],
  ]);
});

test("malformed lines are named with their number, and cost nothing but themselves", async (t) => {
  const lines = ["path,label", "a,x", 'b,"y', 'c,5" disk', 'd,"y" z', "e,x,y", "f", "", ",x", "g,x", ""];
  const file = await read(t, "a.csv", lines.join("\n"));
  t.deepEqual(
    toShort(file).map(([line]) => line),
    [2, 10],
  );
  t.deepEqual(
    file.malformed.map(({ line }) => line),
    [3, 4, 5, 6, 7, 9],
  );
  for (const [index, pattern] of [
    /quote/,
    /quote inside/,
    /closing quote/,
    /3 fields/,
    /1 fields/,
    /no path/,
  ].entries())
    t.regex(file.malformed[index]?.reason ?? "", pattern);
});

test("labels come as a list or with a separator between them; a text is one whatever stands in it", async (t) => {
  const list = '"[\'a\', ""b\'s""]"';
  const one = await read(t, "a.csv", `path,label\n1,a|b\n2,${list}\n`);
  t.deepEqual(
    toShort(one).map(([, , labels]) => labels),
    [["a|b"], ["a", "b's"]],
  );
  const several = await read(t, "a.csv", `path,labels\n1,a|b\n2,${list}\n3,"[1, 2]"\n4,"[""caf\\u00e9""]"\n`, "|");
  t.deepEqual(
    toShort(several).map(([, , labels]) => labels),
    [["a", "b"], ["a", "b's"], ["1", "2"], ["café"]],
  );
  t.deepEqual(
    toShort(await read(t, "a.csv", `path,text\n1,a|b\n2,${list}\n`, "|")).map(([, , labels]) => labels),
    [["a|b"], ["['a', \"b's\"]"]],
  );
  t.deepEqual(toShort(await read(t, "a.csv", "path,label\n1,a|b\n", "|")), [[2, "1", ["a", "b"], undefined]]);
});

test("JSON lines take the same fields, with lists as lists", async (t) => {
  const lines = [
    '\ufeff{"path": "a", "label": "x", "split": "val_holdout"}',
    '{"path": "b", "labels": ["x", 3, "x"]}\r',
    "",
    '{"path": "c", "text": "a caption, \\u001b[0m"}',
    '{"path": "d", "labels": []}',
    '{"path": "e", "label": null}',
    '{"path": "f", "label": "x", "split": "validation"}',
    '{"path": "g", "label": {"x": 1}}',
    '{"path": "h", "label": "x", "text": "y"}',
    '["i", "x"]',
    "{",
    '{"label": "x"}',
  ];
  const file = await read(t, "a.jsonl", lines.join("\n"));
  t.deepEqual(toShort(file), [
    [1, "a", ["x"], "val_holdout"],
    [2, "b", ["x", "3"], undefined],
    [4, "c", ["a caption, \u001b[0m"], undefined],
    [5, "d", "no-label"],
    [6, "e", "no-label"],
    [7, "f", "unknown-split"],
    [8, "g", "no-label"],
  ]);
  t.deepEqual(
    file.malformed.map(({ line }) => line),
    [9, 10, 11, 12],
  );
});

test("rows without a label, and of an unknown split, stay rows", async (t) => {
  const file = await read(t, "a.csv", "path,label,split\na,,train\nb,x,Train\nc,x, test \nd,['x,\n");
  t.deepEqual(toShort(file), [
    [2, "a", "no-label"],
    [3, "b", "unknown-split"],
    [4, "c", ["x"], "test"],
    [5, "d", "no-label"],
  ]);
});

test("a file that is something else is refused as a whole", async (t) => {
  const cases: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
    ["a.csv", "file;label\n", /names the columns "file;label"; it must name "path" and one of "label"/],
    ["a.csv", "path,label,text\n", /names the columns/],
    ["a.csv", "path,path,label\n", /names the columns/],
    ["a.csv", "", /is empty/],
    ["a.csv", 'path,"label\n', /line 1, has a quote that is not closed/],
    ["a.csv", `path,label\n${'a,b"c\n'.repeat(101)}`, /more than 100 lines are malformed; the first, line 2/],
    ["a.csv", Uint8Array.of(0xff, 0xfe, 0x70, 0), /is not UTF-8/],
    ["a.json", "[]", /must be called \.csv, or \.jsonl/],
  ];
  for (const [name, content, message] of cases) {
    await t.throwsAsync(read(t, name, content), { instanceOf: InvalidInputError, message }, String(message));
  }
  await t.throwsAsync(readLabelFile("absent.csv"), { instanceOf: NotFoundError });
});
