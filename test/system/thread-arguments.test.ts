import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { toThreadArguments } from "../../src/system/thread-arguments.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

test("a thread keeps loaders and conditions, and gets no script of the command line", (t) => {
  const cases = [
    [["--input-type=module", "-e", "await start()"], []],
    [
      ["--import", "./hook.js", "--no-warnings", "-e", "start()"],
      ["--import", "./hook.js", "--no-warnings"],
    ],
    [["--input-type", "module", "--import=./hook.js", "--eval", "--import"], ["--import=./hook.js"]],
    [
      ["-p", "1 + 1", "--print=2", "--conditions", "ours", "-r", "-e"],
      ["--conditions", "ours", "-r", "-e"],
    ],
    [["--max-old-space-size=400", "--expose-gc", "-e", "start()", "--title", "x"], []],
  ] as const;
  for (const [own, kept] of cases) t.deepEqual(toThreadArguments(own), [...kept]);
});

test("a thread takes over all options where no script is on the command line", (t) => {
  t.is(toThreadArguments([]), undefined);
  t.is(toThreadArguments(["--import", "./hook.js", "--no-warnings", "--max-old-space-size=400"]), undefined);
});

test("threads start with options that only a process can be given", async (t) => {
  const words = `
    import { Worker } from "node:worker_threads";
    import { toThreadArguments } from ${JSON.stringify(new URL("../../src/system/thread-arguments.js", import.meta.url))};
    const execArgv = toThreadArguments(process.execArgv);
    new Worker("console.log('started')", { eval: true, execArgv });`;
  const program = join(await createTemporaryFolder(t), "program.mjs");
  await writeFile(program, words);
  const kept = [
    "--no-warnings",
    "--enable-source-maps",
    "--no-deprecation",
    "--preserve-symlinks",
    "--conditions=ours",
  ];
  const own = ["--max-old-space-size=400", "--expose-gc", "--title=ours", ...kept];
  for (const rest of [[program], ["--input-type=module", "-e", words]]) {
    const { stdout } = await promisify(execFile)(process.execPath, [...own, ...rest], { timeout: 60_000 });
    t.is(stdout, "started\n");
  }
});
