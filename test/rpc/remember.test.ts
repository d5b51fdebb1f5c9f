import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { remember } from "../../src/rpc/remember.js";

test("what was asked for is asked for again once it is too old, or where it must be fresh", async (t) => {
  let count = 0;
  const counted = remember(async () => ++count, 200);
  t.deepEqual(await Promise.all([counted.recent(), counted.recent()]), [1, 1]);
  t.is(await counted.fresh(), 2);
  t.is(await counted.recent(), 2);
  await sleep(250);
  t.is(await counted.recent(), 3);
});

test("a failure is not remembered", async (t) => {
  let fails = true;
  const flaky = remember(async () => {
    if (fails) throw new Error("not yet");
    return "there";
  }, 60_000);
  await t.throwsAsync(flaky.recent(), { message: "not yet" });
  fails = false;
  t.is(await flaky.recent(), "there");
});
