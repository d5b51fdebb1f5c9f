import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";

/** Runs the counting of .ci/run over a TAP text. */
async function count(t: ExecutionContext, tap: string, testExitCode = 0): Promise<{ code: number; lastLine: string }> {
  const folder = await mkdtemp(join(tmpdir(), "count-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "tests.tap");
  await writeFile(file, tap);
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [".ci/count-tests.js", file, String(testExitCode)], (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code !== "number" || stderr !== "") reject(new Error(stderr, { cause: error }));
      else resolve({ code, lastLine: stdout.trimEnd().split("\n").at(-1) ?? "" });
    });
  });
}

const passing = `TAP version 13
ok 1 - errors › plain-error › an error survives the way between threads
ok 2 - weights › a header is read # of a shard
#   a log line
`;

test("tests that pass are summed", async (t) => {
  const tap = `${passing}\n1..2\n# tests 2\n# pass 2\n# fail 0\n\n`;
  t.deepEqual(await count(t, tap), { code: 0, lastLine: "2 passed, 0 failed" });
});

test("skipped tests are counted apart", async (t) => {
  const tap = `${passing}ok 3 - gpu: no adapter here # SKIP\n\n1..3\n# tests 3\n# pass 2\n# skip 1\n# fail 0\n\n`;
  t.deepEqual(await count(t, tap), { code: 0, lastLine: "2 passed, 0 failed, 1 skipped" });
});

test("a failed test fails the run", async (t) => {
  const failure = "not ok 3 - a test\n  ---\n    name: AssertionError\n    message: '# pass 9'\n  ...\n";
  const tap = `${passing}${failure}\n1..3\n# tests 3\n# pass 2\n# fail 1\n\n`;
  t.deepEqual(await count(t, tap, 1), { code: 1, lastLine: "2 passed, 1 failed" });
});

test("tests left over when a file stopped are failures, though they have no line", async (t) => {
  const tap = `${passing}\n1..5\n# tests 5\n# pass 2\n# fail 3\n\n`;
  t.deepEqual(await count(t, tap, 1), { code: 1, lastLine: "2 passed, 3 failed" });
});

test("a failed hook is a failure, though AVA's sum leaves it out", async (t) => {
  const tap = `${passing}not ok 3 - before hook\n\n1..2\n# tests 2\n# pass 2\n# fail 0\n\n`;
  t.deepEqual(await count(t, tap, 1), { code: 1, lastLine: "2 passed, 1 failed" });
});

test("an exit code without a failed test is a failure", async (t) => {
  const tap = `${passing}\n1..2\n# tests 2\n# pass 2\n# fail 0\n\n`;
  t.deepEqual(await count(t, tap, 2), { code: 1, lastLine: "2 passed, 1 failed" });
});

test("a run that stopped before its end is a failure", async (t) => {
  t.deepEqual(await count(t, passing), { code: 1, lastLine: "0 passed, 1 failed" });
  t.deepEqual(await count(t, ""), { code: 1, lastLine: "0 passed, 1 failed" });
});

test("a run without a test is a failure", async (t) => {
  const tap = "TAP version 13\n\n1..0\n# tests 0\n# pass 0\n# fail 0\n\n";
  t.deepEqual(await count(t, tap), { code: 1, lastLine: "0 passed, 1 failed" });
});

test("several runs are summed, and one that fails fails all", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "count-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const good = join(folder, "good.tap");
  const cut = join(folder, "cut.tap");
  await writeFile(good, `${passing}\n1..2\n# tests 2\n# pass 2\n# fail 0\n\n`);
  await writeFile(cut, passing);
  const sum = (...words: readonly string[]): Promise<[number | string | null | undefined, string]> =>
    new Promise((resolve) => {
      execFile(process.execPath, [".ci/count-tests.js", ...words], (error, stdout) => {
        resolve([error === null ? 0 : error.code, stdout.trimEnd().split("\n").at(-1) ?? ""]);
      });
    });
  t.deepEqual(await sum(good, "0", good, "0"), [0, "4 passed, 0 failed"]);
  t.deepEqual(await sum(good, "0", cut, "0"), [1, "2 passed, 1 failed"]);
});
