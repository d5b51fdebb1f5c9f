import { execFile } from "node:child_process";
import { chmod, cp, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import test from "ava";
import { openCatalogue, toLabel } from "../../src/experts/catalogue.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const parameters = (seed: number): ReturnType<typeof createExpertParameters> =>
  createExpertParameters({ rows: 9, columns: 7, seed });

test("a catalogue lists its experts by name", async (t) => {
  const root = await createTemporaryFolder(t);
  for (const [i, name] of ["dogs", "birds", "cats"].entries()) await writeExpert(join(root, name), parameters(10 * i));
  await writeFile(join(root, "README"), "no folder");
  await writeExpert(join(root, ".hidden"), parameters(99));
  const { experts, unusable } = await openCatalogue(root).list();
  t.deepEqual(
    experts.map(({ name }) => name),
    ["birds", "cats", "dogs"],
  );
  t.deepEqual(unusable, []);
});

test("an expert folder is a catalogue of one", async (t) => {
  const folder = await writeExpert(join(await createTemporaryFolder(t), "cats"), parameters(1));
  const { experts } = await openCatalogue(folder).list();
  t.deepEqual(
    experts.map(({ name }) => name),
    ["cats"],
  );
});

test("an empty folder is an empty catalogue, and one that is not there is refused", async (t) => {
  const root = await createTemporaryFolder(t);
  t.deepEqual(
    await openCatalogue(root)
      .list()
      .then(({ experts }) => experts),
    [],
  );
  await assertRefused(t, () => openCatalogue(root).get("cats"), {
    kind: "not-found",
    reason: "EXPERT_NOT_FOUND",
    message: 'no expert "cats" in the catalogue; it has none',
  });
  const absent = join(root, "absent");
  await assertRefused(t, () => openCatalogue(absent).list(), {
    reason: "EXPERT_NOT_FOUND",
    message: `the expert folder ${absent} does not exist; give --experts DIR`,
  });
});

test("a folder that is added, changed or removed is seen without a restart", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeExpert(join(root, "cats"), parameters(1));
  const catalogue = openCatalogue(root);
  const [cats] = (await catalogue.list()).experts;
  await writeExpert(join(root, "dogs"), parameters(2));
  t.is((await catalogue.get("dogs")).name, "dogs");
  t.is((await catalogue.list()).experts.length, 2);
  await writeExpert(join(root, "cats"), parameters(3));
  const changed = (await catalogue.list()).experts.find(({ name }) => name === "cats");
  t.not(changed?.spaceId, cats?.spaceId);
  await rm(join(root, "dogs"), { recursive: true });
  t.deepEqual(
    (await catalogue.list()).experts.map(({ name }) => name),
    ["cats"],
  );
});

const otherUserUnavailable =
  process.getuid?.() === 0 ? undefined : "only the superuser can be another user for a while";
const asOther = otherUserUnavailable === undefined ? test : test.skip;

asOther(
  `a folder that may be read after all is an expert, though nothing of it changed${otherUserUnavailable === undefined ? "" : ` (skipped: ${otherUserUnavailable})`}`,
  async (t) => {
    const root = await createTemporaryFolder(t);
    const weights = join(await writeExpert(join(root, "cats"), parameters(1)), "expert.safetensors");
    await chmod(root, 0o755);
    await chmod(weights, 0o600);
    const child = fileURLToPath(new URL("../helpers/catalogue-child.js", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [child, root]);
    const [before, after] = JSON.parse(stdout);
    t.is(before.experts, 0);
    t.regex(before.errors[0], /AccessDeniedError.*expert\.safetensors/);
    t.deepEqual(after, { experts: 1, errors: [] });
  },
);

test("a broken folder is listed as unusable with its error until it is mended", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeExpert(join(root, "cats"), parameters(1));
  const broken = await writeExpert(join(root, "dogs"), parameters(2));
  const weights = join(broken, "expert.safetensors");
  await rename(weights, join(root, "aside"));
  const catalogue = openCatalogue(root);
  const { experts, unusable } = await catalogue.list();
  t.deepEqual(
    experts.map(({ name }) => name),
    ["cats"],
  );
  t.is(unusable.length, 1);
  t.is(unusable[0]?.name, basename(broken));
  assertError(t, unusable[0]?.error, { reason: "FILE_NOT_FOUND", message: /expert\.safetensors/ });
  await rename(join(root, "aside"), weights);
  t.deepEqual(await catalogue.list().then((list) => [list.experts.length, list.unusable.length]), [2, 0]);
  await writeFile(join(broken, "expert.json"), "{");
  const again = await catalogue.list();
  assertError(t, again.unusable[0]?.error, { reason: "HEADER_MALFORMED", message: /is not JSON/ });
});

test("an expert is found by name, by space id and by a prefix of 8 digits", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeExpert(join(root, "cats"), parameters(1));
  await writeExpert(join(root, "dogs"), parameters(2));
  const catalogue = openCatalogue(root);
  const cats = await catalogue.get("cats");
  t.is(cats.name, "cats");
  for (const digits of [8, 12, 63, 64]) t.is((await catalogue.get(cats.spaceId.slice(0, digits))).name, "cats");
  for (const reference of [cats.spaceId.slice(0, 7), `${cats.spaceId}0`, "cat", ""]) {
    await assertRefused(t, () => catalogue.get(reference), {
      reason: "EXPERT_NOT_FOUND",
      message: `no expert "${reference}" in the catalogue; it has cats, dogs`,
      facts: { expert: reference },
    });
  }
});

test("a word that fits two experts is ambiguous", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeExpert(join(root, "cats"), parameters(1));
  const catalogue = openCatalogue(root);
  const cats = await catalogue.get("cats");
  const prefix = cats.spaceId.slice(0, 8);
  await writeExpert(join(root, prefix), parameters(2));
  const { experts } = await catalogue.list();
  const [first, second] = experts;
  if (first === undefined || second === undefined) throw t.fail("two experts");
  await assertRefused(t, () => catalogue.get(prefix), {
    kind: "precondition",
    reason: "EXPERT_AMBIGUOUS",
    message: `"${prefix}" fits 2 experts: ${toLabel(first)}, ${toLabel(second)}; name one by its space id`,
    facts: { expert: prefix, candidates: `${first.spaceId} ${second.spaceId}` },
  });
});

test("two copies of one expert are the same space, and either serves", async (t) => {
  const root = await createTemporaryFolder(t);
  const cats = await writeExpert(join(root, "cats"), parameters(1));
  await cp(cats, join(root, "copy"), { recursive: true });
  const catalogue = openCatalogue(root);
  const { spaceId } = await catalogue.get("copy");
  t.is((await catalogue.get(spaceId)).spaceId, spaceId);
  t.is((await catalogue.list()).experts.length, 2);
});

test("a look that is needed often is at most a second old", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeExpert(join(root, "cats"), parameters(1));
  const catalogue = openCatalogue(root);
  const first = await catalogue.recent();
  t.is(first.length, 1);
  t.is(await catalogue.recent(), first);
});
