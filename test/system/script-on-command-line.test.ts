import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

/** Runs a program that stands on the command line; gives what it printed. */
async function runWords(words: string): Promise<string> {
  const args = ["--input-type=module", "-e", words];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return stdout;
}

const toUrl = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url));

test("the thread of a store starts whatever the command line says of the script", async (t) => {
  const folder = join(await createTemporaryFolder(t), "store");
  const words = `
    import { openLmdbStore } from ${toUrl("vectors/stores/lmdb.js")};
    const store = await openLmdbStore(${JSON.stringify(folder)});
    await store.close();
    console.log("closed");`;
  t.is(await runWords(words), "closed\n");
});

test("the thread of a text encoder starts whatever the command line says of the script", async (t) => {
  const folder = join(await createTemporaryFolder(t), "encoder");
  const words = `
    import { startWorkerEncoder } from ${toUrl("text/start-worker-encoder.js")};
    import { writeWordEncoder } from ${toUrl("text/write-word-encoder.js")};
    const folder = ${JSON.stringify(folder)};
    await writeWordEncoder(folder, { words: ["jazz"], vectors: Float32Array.of(1, 2), width: 2 });
    const encoder = await startWorkerEncoder(folder);
    await encoder.dispose();
    console.log("closed");`;
  t.is(await runWords(words), "closed\n");
});
