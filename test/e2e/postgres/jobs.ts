import { setTimeout as delay } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { InvalidInputError, UnavailableError } from "../../../src/errors/probestream-error.js";
import type { JobQueue, TakenJob } from "../../../src/retrieval/job-queue.js";
import { openPostgresJobQueue, type PostgresJobQueueOptions } from "../../../src/retrieval/postgres-job-queue.js";
import { runJobs } from "../../../src/retrieval/run-jobs.js";
import { toJobSchema } from "../../../src/retrieval/start-boss.js";
import { assertRefused } from "../../helpers/assert-refused.js";
import type { TestPostgres } from "../../helpers/postgres-server.js";
import { until } from "../../helpers/until.js";

/** Registers the tests of the queue of jobs on PostgreSQL. */
export function testPostgresJobs(postgres: TestPostgres): void {
  const open = async (
    t: ExecutionContext,
    schema: string,
    options: Partial<PostgresJobQueueOptions> = {},
  ): Promise<JobQueue> => {
    const connectionString = await postgres.connectionString();
    const queue = await openPostgresJobQueue({
      connectionString,
      maxConnections: 3,
      connectTimeoutMs: 60_000,
      ...options,
      schema,
    });
    t.teardown(() => queue.close());
    return queue;
  };
  const toJobs = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ location: `/models/${index}`, options: { id: `m${index}` } }));

  test("a job is queued once, and counted until the queue is cleared", async (t) => {
    const schema = await postgres.schema(t);
    const [one, two] = await Promise.all([open(t, schema), open(t, schema)]);
    const other = await open(t, schema, { name: "other" });
    t.is(await one.add([...toJobs(20), ...toJobs(5)]), 20);
    t.is(await two.add(toJobs(25)), 5);
    t.is(await one.add([{ location: "/models/0" }]), 1, "with other options it is another job");
    t.deepEqual(await other.counts(), { waiting: 0, running: 0, done: 0, failed: 0 });
    const taken = [...(await one.take(10)), ...(await two.take(10))];
    t.is(new Set(taken.map(({ location, options }) => JSON.stringify([location, options]))).size, 20);
    t.true(taken.every(({ attempt }) => attempt === 1));
    t.is(await one.complete(taken.slice(0, 15)), 15);
    t.is(await two.complete(taken.slice(0, 15)), 0, "what is done is done");
    t.deepEqual(await two.counts(), { waiting: 6, running: 5, done: 15, failed: 0 });
    await one.release(taken.slice(15));
    t.deepEqual(await two.counts(), { waiting: 11, running: 0, done: 15, failed: 0 });
    const again = await two.take(50);
    t.is(again.length, 11);
    t.true(
      again.every(({ attempt }) => attempt === 1),
      "what was handed back was never taken",
    );
    await one.clear();
    t.deepEqual(await two.counts(), { waiting: 0, running: 0, done: 0, failed: 0 });
    t.is(await two.add(toJobs(3)), 3);
  });

  test("a job that is done or was given up waits again when it is added again, others stay as they are", async (t) => {
    const queue = await open(t, await postgres.schema(t), { retryLimit: 1 });
    await queue.add(toJobs(4));
    const [first, second, third] = await queue.take(3);
    if (first === undefined || second === undefined || third === undefined) throw t.fail("no jobs");
    await queue.complete([first]);
    await queue.fail(second, "it is no model", true);
    t.is(await queue.add(toJobs(4)), 2);
    t.deepEqual(await queue.counts(), { waiting: 3, running: 1, done: 0, failed: 0 });
    t.is(await queue.add(toJobs(4)), 0);
    const again = (await queue.take(9)).find(({ location }) => location === second.location);
    if (again === undefined) throw t.fail("it does not wait");
    await queue.fail(again, "the network is gone", false);
    t.deepEqual(await queue.failures(9), [], "it may be tried as often as at first");
    t.is((await queue.counts()).waiting, 1);
  });

  test("a job that fails is tried again a few times, unless that is useless", async (t) => {
    const queue = await open(t, await postgres.schema(t), { retryLimit: 1, retryDelayMs: 0 });
    await queue.add(toJobs(2));
    const [first, second] = await queue.take(2);
    if (first === undefined || second === undefined) throw t.fail("no jobs");
    t.true(await queue.fail(first, "it is no model", true));
    t.false(await queue.fail(second, "the network is gone", false));
    t.deepEqual(await queue.counts(), { waiting: 1, running: 0, done: 0, failed: 1 });
    let [again] = await queue.take(1);
    // pg-boss waits a second at least.
    for (let tries = 0; again === undefined && tries < 50; tries++) {
      await delay(100);
      [again] = await queue.take(1);
    }
    t.like(again, { location: second.location, attempt: 2 });
    if (again !== undefined) t.true(await queue.fail(again, "the network is still gone", false), "its tries ran out");
    t.deepEqual(
      (await queue.failures(10)).map(({ location, message }) => [location, message]).sort(),
      [
        [first.location, "it is no model"],
        [second.location, "the network is still gone"],
      ].sort(),
    );
    t.is((await queue.failures(1)).length, 1);
    t.is(await queue.retryFailed(), 2);
    t.is((await queue.take(5)).length, 2);
  });

  test("a job that was taken for its worker's death is no more that worker's to fail, release or keep", async (t) => {
    const schema = await postgres.schema(t);
    const options = { leaseMs: 3000, retryDelayMs: 0 };
    const [slow, quick] = [await open(t, schema, options), await open(t, schema, options)];
    await slow.add(toJobs(1));
    const [before] = await slow.take(1);
    let now: TakenJob | undefined;
    await until(async () => {
      [now] = await quick.take(1);
      return now !== undefined;
    }, "its lease ends");
    if (before === undefined || now === undefined) throw t.fail("no job");
    t.deepEqual([before.attempt, now.attempt], [1, 2]);
    await slow.release([before]);
    t.false(await slow.fail(before, "it is no model", true));
    await slow.extend([before]);
    t.like(await quick.counts(), { waiting: 0, running: 1, failed: 0 });
    t.is(await quick.complete([now]), 1);
  });

  test("a job whose tries ran out counts as failed", async (t) => {
    const queue = await open(t, await postgres.schema(t), { retryLimit: 0 });
    await queue.add(toJobs(1));
    const given: boolean[] = [];
    const outcome = await runJobs(queue, {
      work: async () => {
        throw new UnavailableError("SOURCE_UNAVAILABLE", "gone");
      },
      onFailed: (_, __, isGivenUp) => given.push(isGivenUp),
    });
    t.deepEqual([outcome, given], [{ done: 0, failed: 1 }, [true]]);
  });

  test("workers go through a queue together, past one that died and jobs that fail", async (t) => {
    const schema = await postgres.schema(t);
    const [dead, ...queues] = await Promise.all(
      Array.from({ length: 4 }, () => open(t, schema, { leaseMs: 2000, retryDelayMs: 0 })),
    );
    await dead?.add(toJobs(60));
    t.is((await dead?.take(5))?.length, 5, "these are never finished");
    const done: string[] = [];
    const tried = new Set<string>();
    const outcomes = await Promise.all(
      queues.map((queue) =>
        runJobs(queue, {
          pollMs: 50,
          work: async ({ location }) => {
            await delay(5);
            if (location === "/models/7") throw new InvalidInputError("FORMAT_REFUSED", "no model");
            const isFirst = !tried.has(location);
            tried.add(location);
            if (location === "/models/8" && isFirst) throw new UnavailableError("SOURCE_UNAVAILABLE", "gone");
          },
          onDone: ({ location }) => done.push(location),
        }),
      ),
    );
    t.deepEqual(await queues[0]?.counts(), { waiting: 0, running: 0, done: 59, failed: 1 });
    t.deepEqual([done.length, new Set(done).size], [59, 59]);
    t.is(
      outcomes.reduce((sum, one) => sum + one.done, 0),
      59,
    );
    t.is(
      outcomes.reduce((sum, one) => sum + one.failed, 0),
      1,
    );
  });

  // By itself, for it is about time.
  test.serial(
    "a job that takes longer than its lease stays its worker's, and one that is stopped goes back",
    async (t) => {
      const schema = await postgres.schema(t);
      const [one, two] = await Promise.all([open(t, schema, { leaseMs: 2000 }), open(t, schema, { leaseMs: 2000 })]);
      await one.add(toJobs(1));
      const controller = new AbortController();
      const working = runJobs(one, {
        signal: controller.signal,
        work: (_, signal) => delay(60_000, undefined, { signal }),
      });
      await delay(3500);
      t.deepEqual([(await two.take(1)).length, (await two.counts()).running], [0, 1]);
      controller.abort(new Error("stopped"));
      await t.throwsAsync(working, { message: "stopped" });
      t.is((await two.take(1))[0]?.attempt, 1);
    },
  );

  test("a queue or schema of a name that cannot be is refused", async (t) => {
    const connectionString = await postgres.connectionString();
    const wrong = { reason: "FIELD_INVALID", message: /letters, digits/ } as const;
    await assertRefused(t, () => openPostgresJobQueue({ connectionString, name: "a b" }), wrong);
    const long = { reason: "FIELD_INVALID", message: /at most 50/ } as const;
    await assertRefused(t, () => toJobSchema("x".repeat(50)), long);
    t.is(toJobSchema(), "probestream_jobs");
  });
}
