import test from "ava";
import { InvalidInputError, LimitExceededError, type ProbestreamError } from "../../src/errors/probestream-error.js";
import { createGroupCommit } from "../../src/retrieval/group-commit.js";

/** Writes all items at once, of which the one called `bad` is refused; tells how many writes that took. */
async function writeAll(error: ProbestreamError) {
  let writes = 0;
  const { write } = createGroupCommit<string>(async (items) => {
    writes++;
    if (items.includes("bad")) throw error;
  });
  const outcomes = await Promise.allSettled(["a", "bad", "c"].map(write));
  return { writes, statuses: outcomes.map(({ status }) => status) };
}

test("a group with an item that is wrong is written again item by item", async (t) => {
  t.deepEqual(await writeAll(new InvalidInputError("FIELD_INVALID", "it is bad")), {
    writes: 4,
    statuses: ["fulfilled", "rejected", "fulfilled"],
  });
});

test("what is no item's fault, such as a full disk, is told of all at once and not tried for each", async (t) => {
  t.deepEqual(await writeAll(new LimitExceededError("LIMIT_EXCEEDED", "the disk is full")), {
    writes: 1,
    statuses: ["rejected", "rejected", "rejected"],
  });
});
