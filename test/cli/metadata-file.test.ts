import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { type MetadataFile, readMetadataFile } from "../../src/cli/metadata-file.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

async function read(t: ExecutionContext, name: string, lines: readonly string[]): Promise<[MetadataFile, string]> {
  const folder = await createTemporaryFolder(t);
  await writeFile(join(folder, name), lines.join("\n"));
  return [await readMetadataFile(join(folder, name), new AbortController().signal), folder];
}

test("a CSV file gives metadata by path below its folder, or by id, with typed cells", async (t) => {
  const [file, folder] = await read(t, "m.csv", [
    "path,license,rank,nsfw,version,note",
    'sub/a.safetensors,mit,16,false,"""1.0""",',
    "https://x/b.safetensors,apache-2.0,8,true,1.0.0,good",
    "gone.safetensors,mit,,,,",
  ]);
  const a = { license: "mit", rank: 16, nsfw: false, version: "1.0" };
  t.deepEqual(file.find(join(folder, "sub/a.safetensors"), "x"), a);
  t.deepEqual(file.find("https://x/b.safetensors", "x"), {
    ...{ license: "apache-2.0", rank: 8, nsfw: true, version: "1.0.0", note: "good" },
  });
  t.is(file.find("elsewhere/a.safetensors", "a.safetensors"), undefined);
  t.deepEqual(file.find("elsewhere/a.safetensors", "sub/a.safetensors"), a);
  t.deepEqual(
    file.unused().map(({ line, path }) => [line, path]),
    [[4, "gone.safetensors"]],
  );
  t.deepEqual(file.problems, []);
});

test("a path that begins with ./ is found by the id behind it", async (t) => {
  const [file] = await read(t, "m.csv", ["path,license", "./sub/a.safetensors,mit"]);
  t.deepEqual(file.find("elsewhere/sub/a.safetensors", "sub/a.safetensors"), { license: "mit" });
  t.deepEqual(file.unused(), []);
});

test("JSON lines keep the types of their values", async (t) => {
  const [file, folder] = await read(t, "m.jsonl", [
    '{"path": "a", "version": "1", "rank": 4, "tags": ["x", "y"], "none": null, "empty": ""}',
    '{"path": "b", "deep": {"x": 1}}',
    '{"version": "1"}',
    "nonsense",
    '{"path": "c", "rank": 1}',
    '{"path": "c", "rank": 2}',
  ]);
  t.deepEqual(file.find(join(folder, "a"), "a"), { version: "1", rank: 4, tags: "x, y" });
  t.deepEqual(file.find(join(folder, "c"), "c"), { rank: 2 });
  t.deepEqual(
    [...file.problems].sort((a, b) => a.line - b.line).map(({ line, reason }) => [line, reason]),
    [
      [2, '"deep" is neither text, number, truth nor a list of texts'],
      [3, "no path"],
      [4, "no JSON"],
      [5, '"c" again in line 6, which counts'],
    ],
  );
});

for (const [name, line, message] of [
  ["m.csv", "file,license", /--metadata: .*"file", "license"; one of them must be "path"/],
  ["m.csv", "path,a,a", /"a" stands there twice/],
  ["m.txt", "path", /must be called \.csv/],
] as const) {
  test(`a metadata file ${name} that begins with ${line} is refused`, async (t) => {
    await t.throwsAsync(() => read(t, name, [line]), { message });
  });
}
