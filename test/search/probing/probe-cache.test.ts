import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { loadExpertProbes } from "../../../src/experts/expert.js";
import type { ExpertProbes } from "../../../src/experts/expert-probes.js";
import { openProbeCache, type ProbeCache } from "../../../src/search/probing/probe-cache.js";
import type { ProbingServer } from "../../../src/search/probing/probing-server.js";
import { assertRefused } from "../../helpers/assert-refused.js";
import { createExpertParameters, writeExpert } from "../../helpers/expert-folder.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

/** Probes of two experts, and what gives them out and counts. */
interface Source {
  readonly probes: readonly ExpertProbes[];
  readonly asked: string[][];
  readonly server: Pick<ProbingServer, "probes">;
}

async function createSource(t: ExecutionContext): Promise<Source> {
  const folder = await createTemporaryFolder(t);
  const probes = await Promise.all(
    [1, 2].map(async (seed) => {
      const parameters = createExpertParameters({ rows: 30, columns: 20, seed });
      return loadExpertProbes(await writeExpert(join(folder, `expert ${seed}`), parameters));
    }),
  );
  const asked: string[][] = [];
  const server: Source["server"] = {
    probes: async (spaceIds) => {
      asked.push([...spaceIds]);
      return spaceIds.flatMap((spaceId) => probes.find((one) => one.spaceId === spaceId) ?? []);
    },
  };
  return { probes, asked, server };
}

async function ensure(source: Source, folder: string): Promise<ProbeCache> {
  const cache = await openProbeCache(source.server, folder);
  await cache.ensure(source.probes.map(({ spaceId }) => spaceId));
  return cache;
}

test("probes are fetched once, however many ask for them and however often", async (t) => {
  const source = await createSource(t);
  const folder = join(await createTemporaryFolder(t), "not there yet");
  const cache = await openProbeCache(source.server, folder);
  const spaceIds = source.probes.map(({ spaceId }) => spaceId);
  await Promise.all([cache.ensure(spaceIds), cache.ensure(spaceIds), cache.ensure(spaceIds.slice(1))]);
  await ensure(source, folder);
  t.deepEqual(source.asked, [spaceIds]);
  t.deepEqual((await readdir(folder)).sort(), spaceIds.map((spaceId) => `${spaceId}.safetensors`).sort());
  for (const { spaceId, name, layer } of source.probes) {
    const expert = await cache.catalogue.get(spaceId);
    t.like(expert, { spaceId, name, layer, parameterBytes: 4 * (4 * 20 + 3 * 30) });
    t.deepEqual(expert.architecture, { kind: "probex", probeCount: 4, projectionWidth: 3 });
  }
  t.is((await cache.catalogue.recent()).length, 2);
});

test("a file that is damaged, cut, empty or another expert's is fetched anew", async (t) => {
  const source = await createSource(t);
  const folder = await createTemporaryFolder(t);
  await ensure(source, folder);
  const [path = "", other = ""] = source.probes.map(({ spaceId }) => join(folder, `${spaceId}.safetensors`));
  const sound = await readFile(path);
  const flipped = Array.from({ length: 8 }, (_, turn) => {
    const copy = Buffer.from(sound);
    const at = Math.floor(((turn + 0.5) * copy.byteLength) / 8);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  });
  const damaged = [...flipped, sound.subarray(0, 100), Buffer.alloc(0), Buffer.from("no"), await readFile(other)];
  for (const bytes of damaged) {
    source.asked.length = 0;
    await writeFile(path, bytes);
    await ensure(source, folder);
    t.deepEqual(source.asked, [[source.probes[0]?.spaceId]]);
    t.deepEqual(await readFile(path), sound);
  }
  t.is((await readdir(folder)).length, 2);
});

test("a file that others removed meanwhile is fetched anew, and nothing else", async (t) => {
  const source = await createSource(t);
  const folder = await createTemporaryFolder(t);
  const cache = await ensure(source, folder);
  const [first = "", second = ""] = source.probes.map(({ spaceId }) => spaceId);
  source.asked.length = 0;
  await rm(join(folder, `${first}.safetensors`));
  for (let turn = 0; turn < 2; turn++) await cache.ensure([second, first]);
  t.deepEqual(source.asked, [[first]]);
  await rm(folder, { recursive: true });
  for (let turn = 0; turn < 2; turn++) await cache.ensure([second, first]);
  t.deepEqual(source.asked, [[first], [second, first]]);
  t.is((await readdir(folder)).length, 2);
});

test("an accumulator that this version does not know is refused, and not kept", async (t) => {
  const source = await createSource(t);
  const folder = await createTemporaryFolder(t);
  const [first] = source.probes;
  const server = { probes: async () => [{ ...(first as ExpertProbes), accumulator: "probex/2" }] };
  const cache = await openProbeCache(server, folder);
  await assertRefused(t, () => cache.ensure([first?.spaceId ?? ""]), {
    reason: "FORMAT_REFUSED",
    message:
      'the expert "expert 1" projects by "probex/2"; this version knows probex/1: install a newer one, or stream the weights',
  });
  t.deepEqual(await readdir(folder), []);
  await assertRefused(t, () => cache.catalogue.get(first?.spaceId ?? ""), {
    reason: "EXPERT_NOT_FOUND",
    message: /plan before projecting/,
  });
});

test("probes that do not fit their layer, or cannot be computed with, are refused", async (t) => {
  const source = await createSource(t);
  const [first] = source.probes as [ExpertProbes];
  const [u, v] = first.tensors as [ExpertProbes["tensors"][number], ExpertProbes["tensors"][number]];
  const nan = { ...v, values: v.values.map((value, at) => (at === 7 ? Number.NaN : value)) };
  const faults = [
    [[u], "SHAPE_MISMATCH", /have 0 tensors "v"/],
    [[u, v, u], "SHAPE_MISMATCH", /have 2 tensors "u"/],
    [[u, { ...v, rows: 30, columns: 3 }], "SHAPE_MISMATCH", /U of \[20, 4\] and V of \[30, 3\]/],
    [[u, nan], "NON_FINITE", /hold NaN or infinity/],
  ] as const;
  for (const [tensors, reason, message] of faults) {
    const cache = await openProbeCache({ probes: async () => [{ ...first, tensors }] }, await createTemporaryFolder(t));
    await assertRefused(t, () => cache.ensure([first.spaceId]), { reason, message });
  }
});

test("a space id that would lead out of the folder is refused", async (t) => {
  const source = await createSource(t);
  const cache = await openProbeCache(source.server, await createTemporaryFolder(t));
  for (const spaceId of ["../../etc/passwd", "", "A".repeat(64)]) {
    await assertRefused(t, () => cache.ensure([spaceId]), { reason: "CORRUPT", message: /a space id has 64 digits/ });
  }
  t.deepEqual(source.asked, []);
});

test("a folder that cannot be written is said to be so", async (t) => {
  const source = await createSource(t);
  const folder = await createTemporaryFolder(t);
  await writeFile(join(folder, "file"), "");
  await assertRefused(t, () => openProbeCache(source.server, join(folder, "file", "probes")), {
    kind: "access-denied",
    reason: "ACCESS_DENIED",
    message:
      /probes could not be written to ".*file\/probes" \(ENOTDIR\); check its rights and room, or choose another/,
  });
  const cache = await openProbeCache(source.server, folder);
  await chmod(folder, 0o500);
  t.teardown(() => chmod(folder, 0o700));
  if (process.getuid?.() === 0) return void t.pass();
  await assertRefused(t, () => cache.ensure([source.probes[0]?.spaceId ?? ""]), {
    reason: "ACCESS_DENIED",
    message: /EACCES/,
  });
});
