import type { VectorStore } from "../src/vectors/vector-store.js";
import { crashSpaces, createOperation, runOperation, toLine } from "./crash-operations.js";
import type { CrashModule } from "./store-crash.js";

/**
 * The process that `store-crash` kills, or that reads what is there afterwards. Arguments: the module that opens the store,
 * its place, then either `read`, or a seed and the index at which each lane begins.
 */
const [modulePath = "", place = "", seedOrRead = "", ...begins] = process.argv.slice(2);
const module: CrashModule = await import(modulePath);
const store = await module.openStore(place);
if (seedOrRead === "read") await read(store);
else await work(store, Number(seedOrRead));

/** Writes at once: to a pipe Node writes before it goes on. */
function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function work(to: VectorStore, seed: number): Promise<void> {
  for (const space of crashSpaces) await to.ensureSpace(space);
  print("ready");
  await Promise.all(
    begins.map(async (begin, lane) => {
      for (let index = Number(begin); ; index++) {
        await runOperation(to, createOperation(seed, lane, index));
        print(`done ${lane} ${index}`);
      }
    }),
  );
}

/** Prints every record that is listed, and says whether searching finds the same ones, and counts agree. */
async function read(from: VectorStore): Promise<void> {
  for (const space of crashSpaces) {
    const { spaceId, width } = space;
    // The first process may have been killed before it made them.
    await from.ensureSpace(space);
    const records = await from.list(spaceId, { limit: 100_000 });
    for (const record of records) print(toLine(spaceId, record));
    const vectors = new Float32Array(width).fill(1);
    const [hits = []] = await from.search(spaceId, { vectors, k: 10_000, exact: true });
    const listed = records.map(({ id }) => id).sort();
    const isSame = JSON.stringify(listed) === JSON.stringify(hits.map(({ id }) => id).sort());
    const count = (await from.countSpaces()).find((one) => one.spaceId === spaceId)?.count;
    const hashes = [...new Set(records.map(({ weightsHash }) => weightsHash))].filter((hash) => hash !== "");
    const found = await from.findByWeights(spaceId, hashes);
    const isFound = hashes.every((hash) => found.get(hash) === records.find((one) => one.weightsHash === hash)?.id);
    if (!isSame) print(`wrong: search finds ${hits.length} of ${listed.length} records of ${spaceId}`);
    if (count !== records.length) print(`wrong: ${spaceId} counts ${count} records and lists ${records.length}`);
    if (!isFound || found.size !== hashes.length) print(`wrong: hashes of ${spaceId} find other records`);
  }
  await from.close();
}
