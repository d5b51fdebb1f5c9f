import test from "ava";
import { toThreadArguments } from "../../src/system/thread-arguments.js";

test("a thread keeps loaders and other options, and gets no script of the command line", (t) => {
  const cases = [
    [[], []],
    [
      ["--import", "./hook.js", "--no-warnings"],
      ["--import", "./hook.js", "--no-warnings"],
    ],
    [["--input-type=module", "-e", "await start()"], []],
    [["--input-type", "module", "--import=./hook.js", "--eval", "--import"], ["--import=./hook.js"]],
    [
      ["-p", "1 + 1", "--print=2", "--conditions", "ours"],
      ["--conditions", "ours"],
    ],
  ] as const;
  for (const [own, kept] of cases) t.deepEqual(toThreadArguments(own), [...kept]);
});
