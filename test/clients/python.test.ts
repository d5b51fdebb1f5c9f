import { execFile, execFileSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { startServer as startServerProcess } from "../../bench/start-server.js";
import { createCaseServers } from "../../clients/conformance/case-servers.js";
import { createWorld } from "../../clients/conformance/world.js";
import { unpackTree } from "../../scripts/demo-zoo/packed-tree.js";
import { makeExample } from "../../scripts/example.js";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { loadExpertProbes } from "../../src/experts/expert.js";
import { encodeProbes, readProbesFile } from "../../src/experts/probes-file.js";
import { startServer } from "../../src/rpc/server.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { oneBackend } from "../cli/run-cli.js";
import { findBlock, readFencedBlocks } from "../docs/fenced-blocks.js";
import { goldenNames, readGoldenCase } from "../helpers/golden.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

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

/** Runs the programs of the README for one of its servers, one after another, in a folder; gives what each printed. */
async function runReadme(folder: string, port: 50051 | 50052, target: string): Promise<string[]> {
  const blocks = (await readFencedBlocks("clients/python/README.md")).filter(
    ({ language, text }) => language === "python" && text.includes("127.0.0.1:50052") === (port === 50052),
  );
  const printed: string[] = [];
  for (const { text } of blocks) {
    const { stdout } = await promisify(execFile)(python, ["-c", text.replaceAll(`127.0.0.1:${port}`, target)], {
      cwd: folder,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1", PYTHONPATH: join(repositoryRoot, "clients/python") },
      timeout: 30_000,
    });
    printed.push(stdout);
  }
  return printed;
}

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
  const modules = ["sources", "wire", "cause", "signatures", "projection"].map((name) => `tests.test_${name}`);
  const said = await runTests("", ...modules);
  t.regex(said, /\nRan [1-9]\d+ tests in \S+\n\nOK\n$/);
});

withPython(`the quick start of the Python client prints what it says${reason}`, async (t) => {
  const folder = await createTemporaryFolder(t);
  await makeExample(join(folder, "example"));
  const store = createMemoryStore();
  const catalogue = openCatalogue(join(folder, "example", "experts"));
  const server = await startServer({ catalogue, backend: "onnx", workerCount: 1, store });
  t.teardown(() => server.close(0));
  const [embedded = "", searched = "", refused = ""] = await runReadme(folder, 50051, `127.0.0.1:${server.port}`);
  const readme = await readFile(join(repositoryRoot, "clients/python/README.md"), "utf8");
  t.true(readme.includes(`\n\`\`\`\n${embedded}\`\`\`\n`), embedded);
  t.true(readme.includes(`\n\`\`\`\n${refused}\`\`\`\n`), refused);
  const lines = searched.trim().split("\n");
  t.is(lines.length, 25);
  t.deepEqual(new Set(lines.at(-1)?.match(/jazz-lora-\d/g)), new Set(["jazz-lora-2", "jazz-lora-3"]));
});

withPython(
  `the README of the Python client searches the demo in words on the server that it starts${reason}`,
  async (t) => {
    const folder = await createTemporaryFolder(t);
    const demo = join(repositoryRoot, "demo");
    await unpackTree(join(demo, "loras.safetensors"), join(folder, ".cache/demo/loras"), ["test_holdout"]);
    const commands = findBlock(await readFencedBlocks("clients/python/README.md"), "sh", "--experts demo/experts");
    const [, ...words] = commands
      .slice(commands.indexOf("node "))
      .trim()
      .split(/\s+(?:\\\s+)?/);
    const args = words.map((word) =>
      word
        .replace(/^(dist|demo)(?=\/)/, join(repositoryRoot, "$1"))
        .replace(/^\.cache(?=\/)/, join(folder, "$&"))
        .replace("127.0.0.1:50052", "127.0.0.1:0"),
    );
    const server = await startServerProcess({ program: process.execPath, args: [...args, ...oneBackend] });
    t.teardown(() => server.stop());
    const [searched = ""] = await runReadme(folder, 50052, server.target);
    const readme = await readFile(join(repositoryRoot, "clients/python/README.md"), "utf8");
    t.true(readme.includes(`\n\`\`\`\n${searched}\`\`\`\n`), searched);
  },
);

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
  // What one client kept, the other finds.
  const probes = await loadExpertProbes(join(world.experts, "small"));
  const [kept, left] = [join(world.folder, "kept probes"), join(world.folder, "left probes")];
  await mkdir(kept);
  await writeFile(join(kept, `${probes.spaceId}.safetensors`), encodeProbes(probes));
  const facts = {
    probes: { kept, left },
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
  const said = await runTests(path, "tests.test_embed", "tests.test_local");
  // Debian has PyTorch in a package of its own, without which one test is skipped.
  t.regex(said, /\nRan [1-9]\d+ tests in \S+\n\nOK( \(skipped=1\))?\n$/);
  t.deepEqual(await readProbesFile(join(left, `${probes.spaceId}.safetensors`)), probes);
});
