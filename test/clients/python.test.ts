import { execFile, execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { createCaseServers } from "../../clients/conformance/case-servers.js";
import { createWorld } from "../../clients/conformance/world.js";
import { goldenNames, readGoldenCase } from "../helpers/golden.js";

/** Debian's interpreter, which has Debian's grpcio; another may come first in PATH. */
const python = "/usr/bin/python3";

const missing = ((): string | undefined => {
  try {
    execFileSync(python, ["-c", "import grpc, google.protobuf, numpy"], { stdio: "pipe" });
    return undefined;
  } catch {
    return "python3-grpcio, python3-protobuf or python3-numpy is not installed";
  }
})();
const withPython = missing === undefined ? test : test.skip;
const reason = missing === undefined ? "" : ` (skipped: ${missing})`;

/** Runs test files of the Python client; throws with what they print if one fails. */
async function runTests(world: string, ...modules: readonly string[]): Promise<string> {
  const folder = join(repositoryRoot, "clients/python");
  const { stderr } = await promisify(execFile)(python, ["-m", "unittest", ...modules], {
    cwd: folder,
    env: { ...process.env, PROBESTREAM_TEST_WORLD: world, PYTHONDONTWRITEBYTECODE: "1", PYTHONPATH: folder },
    timeout: 60_000,
  });
  return stderr;
}

withPython(`the Python client reads files, URLs and arrays, and knows the wire${reason}`, async (t) => {
  t.log(await runTests("", "tests.test_sources", "tests.test_wire"));
  t.pass();
});

withPython(`the Python client embeds, resumes, cancels and retrieves on the real server${reason}`, async (t) => {
  const world = await createWorld();
  const servers = await createCaseServers(world);
  t.teardown(async () => {
    await servers.stop();
    await world.remove();
  });
  const names = ["main", "cut", "slow", "dead", "store"] as const;
  const links = await Promise.all(names.map((name) => servers.open(name, "python tests")));
  t.teardown(async () => {
    for (const { stop } of links) await stop();
  });
  const golden = await Promise.all(
    goldenNames.map(async (name) => {
      const { models, texts, expected } = await readGoldenCase(name);
      return {
        name,
        paths: models.map((_, i) => join(world.models, `${name}-${i}.safetensors`)),
        texts: texts === undefined ? null : world.valueOf(`golden.${name}.texts`),
        expected: expected.map(({ representation, logits }) => ({
          representation: representation === undefined ? null : [...representation],
          scores: [...logits],
        })),
      };
    }),
  );
  const facts = {
    ...Object.fromEntries(names.map((name, i) => [name, links[i]?.target])),
    target: links[0]?.target,
    golden: Object.fromEntries(golden.map((one) => [one.name, one])),
    small: Array.from({ length: 8 }, (_, i) => [
      join(world.models, `small-${i + 1}.safetensors`),
      world.valueOf(`small.${i + 1}.representation`),
    ]),
    large: await Promise.all(["cut", "cancelled", "interrupted", "late"].map((name) => world.nameLarge(name))),
    large_hash: world.valueOf("large.hash"),
  };
  const path = join(world.folder, "world.json");
  await writeFile(path, JSON.stringify(facts));
  t.log(await runTests(path, "tests.test_embed"));
  t.pass();
});
