import anyTest, { type TestFn } from "ava";
import { createRetrievalZoo, type RetrievalZoo } from "./retrieval-zoo.js";

/** The test function of a file whose tests share one zoo, which is written before them and removed after them. */
export function createZooTest(): TestFn<{ zoo: RetrievalZoo }> {
  const test = anyTest as TestFn<{ zoo: RetrievalZoo }>;
  test.before(async (t) => {
    t.context = { zoo: await createRetrievalZoo() };
  });
  test.after.always(async (t) => {
    await t.context.zoo.close();
  });
  return test;
}
