import anyTest, { type TestFn } from "ava";
import { createRetrievalZoo, type RetrievalZoo } from "./retrieval-zoo.js";

const zooTest = anyTest as TestFn<{ zoo: RetrievalZoo }>;
let hasHooks = false;

/** The test function of files whose tests share one zoo, which is written before them and removed after them. */
export function createZooTest(): TestFn<{ zoo: RetrievalZoo }> {
  if (hasHooks) return zooTest;
  hasHooks = true;
  zooTest.before(async (t) => {
    t.context = { zoo: await createRetrievalZoo() };
  });
  zooTest.after.always(async (t) => {
    await t.context.zoo.close();
  });
  return zooTest;
}
