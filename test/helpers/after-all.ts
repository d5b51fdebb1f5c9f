import type { TestFn } from "ava";
import type { Teardown } from "./temporary-folder.js";

/** What the tests of a file share is cleaned up when all are over; the last to come goes first. */
export function afterAll(test: Pick<TestFn, "after">): Teardown {
  const works: (() => void | Promise<void>)[] = [];
  test.after.always("what the tests share is let go", async () => {
    for (const work of works.reverse()) await work();
  });
  return { teardown: (work) => works.push(work) };
}
