import test from "ava";
import { crash } from "../../bench/store-crash.js";

test("a writer that is killed loses nothing that it acknowledged, and leaves nothing by half", async (t) => {
  const outcome = await crash({ store: "lmdb", rounds: 3, seed: 5, longestMs: 300 });
  t.deepEqual(outcome.faults, []);
  t.is(outcome.rounds, 3);
  t.true(outcome.acknowledged > 0 && outcome.records > 0);
});
