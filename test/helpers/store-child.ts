import { openLmdbStore } from "../../src/vectors/stores/lmdb.js";
import { createRecord, createSpace } from "./vector-records.js";

// Run as a program: node store-child.js FOLDER. Reads lines of ids from its standard input, writes a record of each to the
// space "one", whose vector is seeded by the number of the line, and says "done ID" when it is durable.
const store = await openLmdbStore(process.argv[2] ?? "", { threads: 1 });
const space = createSpace("one");
await store.ensureSpace(space);
process.stdout.write("ready\n");
let line = 0;
process.stdin.setEncoding("utf8");
for await (const text of process.stdin) {
  for (const id of String(text).split("\n").filter(Boolean)) {
    await store.upsert(space.spaceId, [createRecord(id, line++)]);
    process.stdout.write(`done ${id}\n`);
  }
}
await store.close();
