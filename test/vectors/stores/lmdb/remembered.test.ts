import test from "ava";
import { createRemembered } from "../../../../src/vectors/stores/lmdb/remembered.js";

test("the oldest gives way when there are too many, also where none takes any bytes", (t) => {
  const remembered = createRemembered<number>(1e6, 3);
  for (let index = 0; index < 5; index++) remembered.set(`key ${index}`, index, 0);
  t.deepEqual(
    [0, 1, 2, 3, 4].map((index) => remembered.get(`key ${index}`)),
    [undefined, undefined, 2, 3, 4],
  );
  remembered.clear();
  t.is(remembered.get("key 4"), undefined);
  t.is(remembered.bytes, 0);
});

test("keys count as values do", (t) => {
  const remembered = createRemembered<number>(100_000, 1000);
  const toKey = (index: number): string => String(index).padEnd(10_000);
  for (let index = 0; index < 20; index++) remembered.set(toKey(index), index, 1000);
  t.is(remembered.get(toKey(19)), 19);
  t.is(remembered.get(toKey(15)), undefined);
  t.true(remembered.bytes > 80_000 && remembered.bytes <= 100_000);
  remembered.set(toKey(19), 20, 1000);
  t.is(remembered.get(toKey(19)), 20);
  remembered.set("large", 1, 100_000);
  t.is(remembered.get("large"), undefined);
  t.is(remembered.get(toKey(19)), 20, "what is too large drives nothing out");
  t.true(remembered.bytes <= 100_000);
});
