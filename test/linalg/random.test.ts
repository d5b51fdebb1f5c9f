import test from "ava";
import fc from "fast-check";
import { Random } from "../../src/linalg/random.js";

test("an order holds each number once", (t) => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(200), (seed, count) => {
      const order = new Random(seed).order(count);
      t.deepEqual(
        [...order].sort((a, b) => a - b),
        Array.from({ length: count }, (_, index) => index),
      );
    }),
  );
});

test("every order of three comes about as often as the others", (t) => {
  const random = new Random(1);
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const key = random.order(3).join("");
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  t.is(counts.size, 6);
  for (const count of counts.values()) t.true(count > 880 && count < 1120, String(count));
});

test("a sequence goes on where its state was taken", (t) => {
  const random = new Random(7);
  for (let i = 0; i < 5; i++) random.next();
  const resumed = new Random(random.state);
  t.deepEqual(
    Array.from({ length: 20 }, () => resumed.next()),
    Array.from({ length: 20 }, () => random.next()),
  );
});
