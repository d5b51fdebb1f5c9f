import { join } from "node:path";
import test from "ava";
import { makeExample } from "../../../scripts/example.js";
import { openPostgresJobQueue } from "../../../src/retrieval/postgres-job-queue.js";
import { runInProcess } from "../../cli/run-in-process.js";
import type { TestPostgres } from "../../helpers/postgres-server.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

/** Registers the test of the commands that use a queue of jobs; they have its tables where a user has them. */
export function testWorkCommand({ name, connectionString }: TestPostgres): void {
  if (name !== "PostgreSQL") {
    test.skip("workers index what a command put into a queue: PROBESTREAM_TEST_POSTGRES names no server", () => {});
    return;
  }
  test("workers index what a command put into a queue, each model once", async (t) => {
    const folder = await createTemporaryFolder(t);
    await makeExample(folder);
    const url = await connectionString();
    const queue = await openPostgresJobQueue({ connectionString: url });
    await queue.clear();
    await queue.close();
    const add = ["index", join(folder, "models"), "--queue", url, "--meta", "source=example"];
    const added = await runInProcess(add);
    t.is(added.code, 0, added.stderr);
    t.regex(added.stderr, /^26 jobs added to /);
    t.regex((await runInProcess(add)).stderr, /^0 jobs added to .*, 26 were there already\n$/);

    const local = ["--local", "--experts", join(folder, "experts"), "--store", join(folder, "store")];
    const workers = await Promise.all([1, 2].map(() => runInProcess(["work", "--queue", url, ...local])));
    for (const { code, stderr } of workers) t.is(code, 0, stderr);
    const done = workers.map(({ stderr }) => Number(/(\d+) jobs? done here/.exec(stderr)?.[1]));
    t.is(
      done.reduce((sum, count) => sum + count, 0),
      26,
    );
    const status = await runInProcess(["work", "--queue", url, "--status", "--json"]);
    t.deepEqual(JSON.parse(status.stdout), { waiting: 0, running: 0, done: 26, failed: 0, failures: [] });
    const listed = await runInProcess(["catalogue", "list", ...local, "--where", "meta.source = example", "--json"]);
    t.is(listed.stdout.trim().split("\n").length, 26);
  });
}
