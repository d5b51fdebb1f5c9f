import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { copies, writeCopy } from "../../../bench/copies.js";
import { Random } from "../../../src/linalg/random.js";
import { findDuplicates } from "../../../src/trees/identity/find-duplicates.js";
import { encodeSafetensors, float32Bytes } from "../../../src/weights/safetensors-writer.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { writeSiblings } from "./siblings.js";

for (const tree of ["dense", "loras"] as const) {
  test(`copies of every kind are found among fine-tunes of one base, which are not taken for copies (${tree})`, async (t) => {
    const folder = await createTemporaryFolder(t);
    const siblings = await writeSiblings(folder, tree, 64);
    const kind = tree === "dense" ? "dense" : "lora";
    const made = await Promise.all(
      copies
        .filter((copy) => copy.kind === "both" || copy.kind === kind)
        .map(async (copy, at) => {
          const original = siblings[3 * at] ?? "";
          const location = await writeCopy(copy, original, join(folder, "copies", `${at}.safetensors`), at);
          return { copy, original, location };
        }),
    );
    const { groups, models, skipped } = await findDuplicates([...siblings, ...made.map(({ location }) => location)]);
    t.is(models, siblings.length + made.length);
    t.deepEqual(skipped, []);
    const found = groups.map(({ kind: own, models: [first, ...others] }) => {
      return [own, ...[first, ...others].map(({ location }) => location).sort()].join(" ");
    });
    const expected = made.flatMap(({ copy, original, location }) =>
      copy.expected === undefined ? [] : [[copy.expected, ...[location, original].sort()].join(" ")],
    );
    t.deepEqual(found.sort(), expected.sort());
  });
}

test("a group says how each of its models is the same, and is as sure as the least sure of them", async (t) => {
  const folder = await createTemporaryFolder(t);
  const [original = ""] = await writeSiblings(folder, "dense", 1);
  const write = async (title: string): Promise<string> => {
    const copy = copies.find((each) => each.title === title);
    if (copy === undefined) throw new Error(title);
    return writeCopy(copy, original, join(folder, `${title}.safetensors`), 1);
  };
  const [same, edited, rounded, quantised] = await Promise.all(
    ["same file", "other metadata", "bfloat16", "8 bits, one scale"].map(write),
  );
  const { groups } = await findDuplicates([original, same, edited, rounded, quantised].map((file) => file ?? ""));
  t.is(groups.length, 1);
  t.is(groups[0]?.kind, "near");
  const [first, ...others] = groups[0]?.models ?? [];
  t.is(first?.location, original);
  t.deepEqual(
    others.map(({ location, link }) => [location, link?.kind, link?.of]),
    [
      [same, "file", original],
      [edited, "weights", original],
      [rounded, "dtype", original],
      [quantised, "near", original],
    ],
  );
  const [, , near, nearest] = others.map(({ link }) => link?.distance ?? 0);
  t.true((near ?? 0) > 5e-4 && (near ?? 1) < 3e-3, String(near));
  t.true((nearest ?? 0) > 3e-3 && (nearest ?? 1) < 5e-2, String(nearest));
});

test("models of distances that do not fit at once are compared block by block", async (t) => {
  const folder = await createTemporaryFolder(t);
  const siblings = await writeSiblings(folder, "dense", 4);
  const copy = copies.find(({ title }) => title === "bfloat16");
  if (copy === undefined) throw new Error("no copy");
  const made = await Promise.all(
    siblings.map((original, at) => writeCopy(copy, original, join(folder, `c-${at}.safetensors`), at)),
  );
  const { groups } = await findDuplicates([...siblings, ...made], { mostAtOnce: 5 });
  t.is(groups.length, 4);
  t.true(groups.every((group) => group.kind === "dtype" && group.models.length === 2));
});

test("models of other beginnings are not the same, and broken files are named and left out", async (t) => {
  const folder = await createTemporaryFolder(t);
  const files = await Promise.all([1, 2, 3].map((seed) => writeModel(folder, seed)));
  const broken = join(folder, "broken.safetensors");
  await writeFile(broken, new Uint8Array(40));
  const { groups, models, skipped } = await findDuplicates([...files, broken]);
  t.deepEqual(groups, []);
  t.is(models, 3);
  t.deepEqual(
    skipped.map(({ location, error }) => [location, error.reason]),
    [[broken, "HEADER_MALFORMED"]],
  );
});

test("a signal ends the search", async (t) => {
  const signal = AbortSignal.abort(new Error("enough"));
  await t.throwsAsync(findDuplicates([join("demo", "dense-ancestor.safetensors")], { signal }), { message: "enough" });
});

async function writeModel(folder: string, seed: number): Promise<string> {
  const values = new Random(seed).spread(32 * 32, 1);
  const path = join(folder, `${seed}.safetensors`);
  await writeFile(
    path,
    encodeSafetensors([{ name: "a.weight", dtype: "F32", shape: [32, 32], bytes: float32Bytes(values) }]),
  );
  return path;
}
