import test from "ava";
import { createGarbageCounter } from "../../src/rpc/garbage-counter.js";

const mebibyte = 1024 * 1024;

/** Lets a mebibyte pass at a time, and says after which of them what was collected. */
function collections(mebibytes: number, pauseMs: number): { young: number[]; all: number[] } {
  const found = { young: [] as number[], all: [] as number[] };
  let passed = 0;
  let clock = 0;
  const counter = createGarbageCounter({
    young: () => found.young.push(passed),
    all: () => {
      found.all.push(passed);
      clock += pauseMs;
    },
    now: () => clock,
  });
  for (; passed < mebibytes; ) {
    passed++;
    counter.add(mebibyte);
  }
  return found;
}

test("young garbage is collected every 8 MiB, all of it every 512", (t) => {
  const { young, all } = collections(1536, 20);
  t.deepEqual(all, [512, 1024, 1536]);
  t.deepEqual(young.slice(0, 3), [8, 16, 24]);
  t.is(young.length + all.length, 1536 / 8);
  t.false(young.some((at) => all.includes(at)));
});

test("a heap whose collection takes long is left to V8 ever longer", (t) => {
  t.deepEqual(collections(8192, 51).all, [512, 1536, 3584, 7680]);
});

test("a message of any size counts once", (t) => {
  let young = 0;
  let all = 0;
  const counter = createGarbageCounter({ young: () => young++, all: () => all++, now: () => 0 });
  counter.add(0);
  t.deepEqual([young, all], [0, 0]);
  counter.add(2 ** 31);
  t.deepEqual([young, all], [0, 1]);
  counter.add(8 * mebibyte - 1);
  t.deepEqual([young, all], [0, 1]);
  counter.add(1);
  t.deepEqual([young, all], [1, 1]);
});
