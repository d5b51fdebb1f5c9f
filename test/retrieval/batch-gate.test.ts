import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { createBatchGate } from "../../src/retrieval/batch-gate.js";
import { assertRefused } from "../helpers/assert-refused.js";

test("few batches run at a time, others wait, and too many are refused with the figures", async (t) => {
  let held = 0;
  const gate = createBatchGate({ batchesAtOnce: 2, maxWaitingBatches: 2 }, (bytes) => {
    held += bytes;
    return () => {
      held -= bytes;
    };
  });
  let running = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, ++running);
    await sleep(20);
    running--;
  };
  const four = [1, 2, 3, 4].map(() => gate.run(1024 * 1024, "a batch", undefined, work));
  await assertRefused(t, () => gate.run(1024 * 1024, "one more", undefined, work), {
    reason: "LIMIT_EXCEEDED",
    message: /one more must wait, and 2 others wait already \(2 run at a time\)/,
  });
  t.is(held, 4 * 1024 * 1024);
  // A small one does not wait behind the large ones.
  t.is(await gate.run(1, "a query", undefined, async () => held), 4 * 1024 * 1024 + 64 * 1024);
  await Promise.all(four);
  t.is(most, 2);
  t.is(held, 0);
});

test("a batch that is given up while it waits makes room, and one that fails too", async (t) => {
  const gate = createBatchGate({ batchesAtOnce: 1, maxWaitingBatches: 1 }, () => () => {});
  const first = gate.run(1, "a batch", undefined, () => sleep(30));
  const controller = new AbortController();
  const second = gate.run(1, "a batch", controller.signal, async () => t.fail());
  controller.abort(new Error("given up"));
  await t.throwsAsync(second, { message: "given up" });
  const third = gate.run(1, "a batch", undefined, async () => {
    throw new Error("failed");
  });
  await first;
  await t.throwsAsync(third, { message: "failed" });
  t.is(await gate.run(1, "a batch", undefined, async () => 5), 5);
});
