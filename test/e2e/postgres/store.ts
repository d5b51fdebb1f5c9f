import test, { type ExecutionContext } from "ava";
import { createMemoryStore } from "../../../src/vectors/stores/memory.js";
import { openDatabase } from "../../../src/vectors/stores/postgres/database.js";
import {
  openPostgresStore,
  type PostgresStoreOptions,
} from "../../../src/vectors/stores/postgres/open-postgres-store.js";
import type { VectorStore } from "../../../src/vectors/vector-store.js";
import { testVectorStore } from "../../contracts/vector-store.js";
import { assertSameHits } from "../../helpers/assert-hits.js";
import { assertRefused } from "../../helpers/assert-refused.js";
import type { TestPostgres } from "../../helpers/postgres-server.js";
import { createRandom, randomValues } from "../../helpers/random.js";
import { createRecord, createRecords, createSpace, toHash } from "../../helpers/vector-records.js";

/** Registers the tests of the store on PostgreSQL. */
export function testPostgresStore(postgres: TestPostgres): void {
  const open = async (t: ExecutionContext, options: Partial<PostgresStoreOptions> = {}): Promise<VectorStore> => {
    const [connectionString, schema] = [
      await postgres.connectionString(),
      options.schema ?? (await postgres.schema(t)),
    ];
    const store = await openPostgresStore({
      maxConnections: 4,
      connectTimeoutMs: 60_000,
      ...options,
      connectionString,
      schema,
    });
    t.teardown(() => store.close());
    return store;
  };

  testVectorStore({
    name: postgres.name,
    create: (t) => open(t),
    tolerance: 1e-6,
    filterCount: postgres.name === "PGlite" ? 30 : 300,
  });

  const { spaceId } = createSpace("one");

  test("servers that start together make the schema and a space once", async (t) => {
    const schema = await postgres.schema(t);
    const stores = await Promise.all(Array.from({ length: 4 }, () => open(t, { schema, maxConnections: 2 })));
    const made = await Promise.all(stores.map((store) => store.ensureSpace(createSpace("one"))));
    t.is(new Set(made.map((info) => JSON.stringify(info))).size, 1);
    await Promise.all(stores.map((store, index) => store.upsert(spaceId, createRecords(10, `server-${index}-`))));
    for (const store of stores) t.is((await store.listSpaces())[0]?.count, 40);
  });

  test("a server follows what another one does to the spaces", async (t) => {
    const schema = await postgres.schema(t);
    const [one, two] = [await open(t, { schema }), await open(t, { schema })];
    await one.ensureSpace(createSpace("one"));
    await two.upsert(spaceId, createRecords(3));
    await one.dropSpace(spaceId);
    const missing = { reason: "SPACE_NOT_FOUND", message: /^the store has no space / } as const;
    await assertRefused(t, () => two.upsert(spaceId, createRecords(3)), missing);
    await one.ensureSpace(createSpace("one", 5));
    await two.upsert(spaceId, [createRecord("m", 1, { width: 5 })]);
    t.is((await one.get(spaceId, ["m"]))[0]?.vector.length, 5);
  });

  test("a space that grows large is indexed, and ties at the end of a result still order by id", async (t) => {
    const store = await open(t, { indexFromCount: 200 });
    const oracle = createMemoryStore();
    const twin = randomValues(8, 77);
    const records = [
      ...createRecords(400, "model-").map((record, index) => ({ ...record, metadata: { ten: index % 10 } })),
      ...createRecords(40, "twin-", { vector: twin }),
    ].reverse();
    for (const each of [store, oracle]) {
      await each.ensureSpace(createSpace("one"), { fill: true });
      await each.upsert(spaceId, records);
      await each.switchSpaces({ serve: [spaceId], retire: [] });
    }
    const [info] = await store.listSpaces();
    t.deepEqual([info?.state, info?.count, info?.indexed], ["serving", 440, 440]);
    const [hits] = await store.search(spaceId, { vectors: twin, k: 3 });
    t.deepEqual(
      hits?.map(({ id }) => id),
      ["twin-000", "twin-001", "twin-002"],
    );
    const vectors = randomValues(8 * 40, 5);
    for (const filter of [undefined, { field: "meta.ten", op: "lt", value: 5 } as const]) {
      await assertSameHits(t, { store, oracle, tolerance: 1e-6 }, spaceId, { vectors, k: 10, filter, exact: true });
      const approximate = await store.search(spaceId, { vectors, k: 10, filter });
      t.true(approximate.every((one) => one.length === 10));
    }
  });

  test("a space too wide for an index is searched row by row", async (t) => {
    const store = await open(t, { indexFromCount: 2 });
    const width = 2001;
    await store.ensureSpace(createSpace("one", width));
    const records = createRecords(5, "wide-", { width });
    await store.upsert(spaceId, records);
    await store.compact();
    const [hits] = await store.search(spaceId, { vectors: records[3]?.vector ?? new Float32Array(0), k: 1 });
    t.is(hits?.[0]?.id, "wide-003");
    t.deepEqual((await store.get(spaceId, ["wide-004"]))[0]?.vector, records[4]?.vector);
  });

  test("ids longer than an entry of an index are kept apart and in order", async (t) => {
    const store = await open(t);
    await store.ensureSpace(createSpace("one"));
    const random = createRandom(9);
    // Nothing that compresses: 3,072 bytes each, alike in the first 900 characters.
    const text = (length: number): string =>
      String.fromCharCode(...Array.from({ length }, () => 0x4e00 + Math.floor(random() * 20_000)));
    const start = text(900);
    const ids = Array.from({ length: 12 }, () => start + text(124));
    await store.upsert(
      spaceId,
      ids.map((id, index) => createRecord(id, index)),
    );
    const sorted = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const first = await store.list(spaceId, { limit: 5 });
    const rest = await store.list(spaceId, { limit: 50, after: first.at(-1)?.id });
    t.deepEqual(
      [...first, ...rest].map(({ id }) => id),
      sorted,
    );
    t.is(await store.delete(ids.slice(3, 5)), 2);
    t.is((await store.get(spaceId, ids)).filter(Boolean).length, 10);
  });

  test("a schema of a newer release is refused, with what to do", async (t) => {
    const schema = await postgres.schema(t);
    await open(t, { schema });
    const database = openDatabase({ connectionString: await postgres.connectionString(), schema, maxConnections: 1 });
    t.teardown(() => database.close());
    await database.transaction(({ query }) => query(`INSERT INTO ${database.schema}.migrations (version) VALUES (99)`));
    const expected = {
      kind: "precondition",
      reason: "STORE_MISSING",
      message: /has version 99, .* update it/,
    } as const;
    await assertRefused(t, () => open(t, { schema }), expected);
  });

  test("a server that cannot be reached is named without its password", async (t) => {
    const connectionString = "postgres://user:secret@127.0.0.1:1/models";
    const thrown = await t.throwsAsync(openPostgresStore({ connectionString, connectTimeoutMs: 500 }));
    t.regex(thrown?.message ?? "", /^the PostgreSQL server at 127\.0\.0\.1:1\/models cannot be reached now/);
    t.notRegex(JSON.stringify(thrown), /secret/);
    t.like(thrown, { kind: "unavailable", reason: "SOURCE_UNAVAILABLE" });
  });

  // By itself, for it breaks the connections of all.
  test.serial("reads and new writes go on when connections broke", async (t) => {
    const store = await open(t);
    await store.ensureSpace(createSpace("one"));
    await store.upsert(spaceId, createRecords(5));
    const reads = Array.from({ length: 8 }, () => store.list(spaceId, { limit: 10 }));
    await postgres.breakConnections();
    for (const page of await Promise.all(reads)) t.is(page.length, 5);
    await postgres.breakConnections();
    await store.upsert(spaceId, createRecords(7));
    t.is((await store.listSpaces())[0]?.count, 7);
  });

  const cancelling = postgres.name === "PGlite" ? test.skip : test;
  cancelling("a statement that nobody waits for any more is ended (PGlite cannot)", async (t) => {
    const database = openDatabase({ connectionString: await postgres.connectionString(), maxConnections: 1 });
    t.teardown(() => database.close());
    const reason = new Error("gone");
    const started = Date.now();
    const sleeping = database.read("SELECT pg_sleep(20)", [], AbortSignal.timeout(100));
    await t.throwsAsync(sleeping, { any: true, name: "TimeoutError" });
    const controller = new AbortController();
    const session = database.session(({ query }) => query("SELECT pg_sleep(20)"), controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    t.is(await t.throwsAsync(session), reason);
    t.true(Date.now() - started < 10_000);
    t.deepEqual(await database.read("SELECT 1 AS one"), [{ one: 1 }]);
  });

  test("what comes from outside is never part of a statement", async (t) => {
    const store = await open(t);
    await store.ensureSpace({ ...createSpace("one"), expertName: "'; DROP TABLE spaces; --" });
    const hostile = ["'", '"', "\\", "'; DROP TABLE spaces; --", "$1", "?", "a.b", '") ? (@ > 0)', "%s"];
    const metadata = Object.fromEntries(hostile.map((text, index) => [text, index % 2 === 0 ? text : index]));
    await store.upsert(spaceId, [createRecord(hostile.join(""), 1, { metadata }), createRecord("other", 2)]);
    for (const [index, text] of hostile.entries()) {
      const value = index % 2 === 0 ? text : index;
      for (const op of ["eq", "lte", "gte"] as const) {
        const found = await store.list(spaceId, { limit: 9, filter: { field: `meta.${text}`, op, value } });
        t.deepEqual(
          found.map(({ id }) => id),
          [hostile.join("")],
          `${op} ${text}`,
        );
      }
    }
    t.is((await store.findByWeights(spaceId, hostile)).size, 0);
    t.is((await store.listSpaces())[0]?.expertName, "'; DROP TABLE spaces; --");
    t.is(toHash("one"), spaceId);
  });
}
