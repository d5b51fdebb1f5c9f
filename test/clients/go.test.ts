import { execFile, execFileSync } from "node:child_process";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import anyTest, { type TestFn } from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { unpackTree } from "../../scripts/demo-zoo/packed-tree.js";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { type RunningServer, startServer } from "../../src/rpc/server.js";
import { openTextEncoder } from "../../src/text/open-text-encoder.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { encodeSafetensors } from "../../src/weights/safetensors-writer.js";
import { findBlock, readFencedBlocks } from "../docs/fenced-blocks.js";
import { goldenNames, readGoldenCase, writeGoldenExpert, writeGoldenModels } from "../helpers/golden.js";
import { largeModel, writeLargeExpert, writeSmallExpert } from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

interface Context {
  folder: string;
  server: RunningServer;
  /** A file that says where the server is, and what models there are. */
  setting: string;
}

const test = anyTest as TestFn<Context>;
const client = join(repositoryRoot, "clients/go");
const withGopath = join(client, "with-gopath");
const run = promisify(execFile);

/** What is missing for Go, if anything. */
function findMissing(): string | undefined {
  try {
    execFileSync(withGopath, ["true"], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "with-gopath does not run";
  }
}

const missing = findMissing();
const withGo = missing === undefined ? test.serial : test.serial.skip;
const reason = missing === undefined ? "" : ` (skipped: ${missing})`;

test.before(async (t) => {
  if (missing !== undefined) return;
  const folder = await mkdtemp(join(tmpdir(), "probestream-go-"));
  const experts = join(folder, "experts");
  const golden = [];
  for (const name of goldenNames) {
    const { texts, expected, ...rest } = await readGoldenCase(name);
    await writeGoldenExpert({ texts, expected, ...rest }, experts);
    const rows = Array.from({ length: texts?.rows ?? 0 }, (_, row) => {
      const { columns, values } = texts ?? { columns: 0, values: new Float32Array(0) };
      return [...values.subarray(row * columns, (row + 1) * columns)];
    });
    golden.push({
      expert: name,
      files: await writeGoldenModels({ texts, expected, ...rest }, join(folder, "models")),
      texts: rows,
      expected: expected.map(({ representation = [], logits }) => ({
        representation: [...representation],
        scores: [...logits],
      })),
    });
  }
  await writeLargeExpert(experts);
  await writeSmallExpert(experts);
  const large = join(folder, "large.safetensors");
  await writeFile(large, encodeSafetensors(largeModel("").tensors));
  const server = await startServer({ catalogue: openCatalogue(experts), backend: "onnx", workerCount: 1 });
  const setting = join(folder, "setting.json");
  await writeFile(setting, JSON.stringify({ target: `${server.host}:${server.port}`, golden, large }));
  t.context = { folder, server, setting };
});

test.after.always(async (t) => {
  await t.context.server?.close(0);
  if (t.context.folder !== undefined) await rm(t.context.folder, { recursive: true, force: true });
});

/** Runs Go; what it said is the message where it failed. */
async function go(args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<string> {
  try {
    const { stdout } = await run(withGopath, ["go", ...args], { cwd, env: { ...process.env, ...env } });
    return stdout;
  } catch (error) {
    const said = error instanceof Error && "stdout" in error && "stderr" in error ? [error.stdout, error.stderr] : [];
    throw new Error(`go ${args.join(" ")} failed:\n${said.join("\n")}`, { cause: error });
  }
}

withGo(`the tests of the Go client pass against a real server${reason}`, async (t) => {
  t.timeout(300_000, "the first build compiles gRPC");
  const packages = ["", "/conformance", "/bench"].map((path) => `probestream.dev/probestream${path}`);
  await go(["vet", ...packages], client);
  const out = await go(["test", "-count=1", "-v", packages[0] ?? ""], client, {
    PROBESTREAM_SETTING: t.context.setting,
  });
  t.regex(out, /^--- PASS: TestRecordedModels/m);
  t.notRegex(out, /--- SKIP/);
});

withGo(`the quick start of the Go client does what its README says${reason}`, async (t) => {
  t.timeout(120_000);
  const { folder, server } = t.context;
  const [, program = ""] = /```go\n(.*?)```/s.exec(await readFile(join(client, "README.md"), "utf8")) ?? [];
  const target = `${server.host}:${server.port}`;
  t.true(program.includes("localhost:50051"));
  await writeFile(join(folder, "main.go"), program.replace("localhost:50051", target));
  await copyFile(join(folder, "models/zeroshot_lora-0.safetensors"), join(folder, "model.safetensors"));
  const [first, second, ...more] = (await go(["run", "main.go"], folder)).trim().split("\n");
  t.regex(first ?? "", /^zeroshot_lora \d+$/);
  t.is(second, 'FILE_NOT_FOUND There is no file "no-such.safetensors"; check the path.');
  t.deepEqual(more, []);
});

withGo(`the other program in the README of the Go client prints what it says${reason}`, async (t) => {
  t.timeout(120_000);
  const readme = await readFile(join(client, "README.md"), "utf8");
  const program = findBlock(await readFencedBlocks("clients/go/README.md"), "go", "client.EmbedMany(");
  const [, promised = ""] = /^```\n(query 0 .*?)^```$/ms.exec(readme) ?? [];
  const [, pattern = ""] = /go run many\.go \S+\/(test_holdout\/\S+)\[1-4\]\*$/m.exec(readme) ?? [];
  const folder = await createTemporaryFolder(t);
  await unpackTree(join("demo", "loras.safetensors"), folder, ["test_holdout"]);
  const models = (await readdir(join(folder, "test_holdout")))
    .map((name) => `test_holdout/${name}`)
    .filter((path) => path.startsWith(pattern) && /^[1-4]/.test(path.slice(pattern.length)));
  const encoder = await openTextEncoder(join("demo", "text-encoder"));
  t.teardown(() => encoder.dispose());
  const catalogue = openCatalogue(join("demo", "experts"));
  const store = createMemoryStore();
  const server = await startServer({ catalogue, backend: "onnx", workerCount: 1, store, encoders: [encoder] });
  t.teardown(() => server.close(0));
  await writeFile(
    join(folder, "many.go"),
    program.replace('"localhost:50052"', JSON.stringify(`${server.host}:${server.port}`)),
  );
  await go(["vet", "many.go"], folder);
  // Built once, as `go run` links it each time.
  await go(["build", "-ldflags", "-s -w", "-o", "many", "many.go"], folder);
  const { stdout: printed } = await run(join(folder, "many"), models, { cwd: folder });
  const [progress = "", rest = ""] = [
    printed.slice(0, printed.indexOf("\n")),
    printed.slice(printed.indexOf("\n") + 1),
  ];
  t.regex(progress, /\r7 of 7 models, 3584 of 3584 bytes$/);
  // Backends differ in the last digit.
  const number = /-?\d\.\d{3}/g;
  t.is(rest.replace(number, "N"), promised.replace(number, "N"));
  const expected = (promised.match(number) ?? []).map(Number);
  for (const [i, value] of (rest.match(number) ?? []).map(Number).entries()) {
    t.true(Math.abs(value - (expected[i] ?? Number.NaN)) < 0.0021, `${value} in place of ${expected[i]}`);
  }
  await t.throwsAsync(run(join(folder, "many"), { cwd: folder }), {
    message: /give models: files of safetensors, or folders/,
  });
});
