import test from "ava";
import { Random } from "../../src/linalg/random.js";
import { toReach } from "../../src/trees/reach.js";
import { assertRefused } from "../helpers/assert-refused.js";

/** A standard normal number, of twelve even ones. */
function toNormal(random: Random): number {
  return Array.from({ length: 12 }, () => random.next()).reduce((sum, value) => sum + value, -6);
}

test("of few models as of many, about one of two hundred more is out of reach", (t) => {
  const random = new Random(21);
  const draw = (): number => Math.exp(0.6 * toNormal(random));
  for (const count of [12, 30, 100, 1000]) {
    let outside = 0;
    for (let run = 0; run < 100; run++) {
      const { reach, median } = toReach(Array.from({ length: count }, draw));
      for (let model = 0; model < 30; model++) if (draw() > reach) outside++;
      t.true(median > 0.4 && median < 2.5);
    }
    t.true(outside / 3000 < 0.01, `${outside} of 3000 with ${count}`);
  }
});

test("what is guessed has a limit, and a stray does not open the tree to everything", (t) => {
  t.is(toReach([1, 1, 1, 50], { guess: 5, limit: 9 }).reach, 9);
  t.is(toReach([1, 2, 4, 8], { guess: 5, limit: 100 }).reach, 8 * 1.05);
  t.is(toReach([1, 2, 4, 8], { guess: 10, limit: 100 }).reach, 10);
  t.is(toReach([0, 0, 0]).reach, 0);
});

test("one model, none, or one that is not finite make no reach", async (t) => {
  for (const distances of [[], [1], [1, Number.NaN, 2], [1, Number.POSITIVE_INFINITY]]) {
    await assertRefused(t, () => toReach(distances), {
      reason: "FIELD_INVALID",
      message: /at least two models with finite weights/,
    });
  }
});
