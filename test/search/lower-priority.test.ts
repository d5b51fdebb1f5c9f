import { once } from "node:events";
import { getPriority } from "node:os";
import { Worker } from "node:worker_threads";
import test from "ava";

const onLinux = process.platform === "linux" ? test : test.skip;

onLinux("a thread that lowers its priority leaves the main thread's alone", async (t) => {
  const before = getPriority();
  const module = new URL("../../src/search/lower-priority.js", import.meta.url).href;
  const worker = new Worker(
    `const { parentPort } = require("node:worker_threads");
    import(${JSON.stringify(module)}).then(({ lowerPriority }) => {
      lowerPriority();
      parentPort.postMessage(require("node:os").getPriority(0));
    });`,
    { eval: true },
  );
  const [lowered] = await once(worker, "message");
  t.is(lowered, Math.min(19, before + 3));
  t.is(getPriority(), before);
});
