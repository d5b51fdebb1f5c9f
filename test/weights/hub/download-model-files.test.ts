import { lstat, mkdir, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import {
  downloadModelFiles,
  type HubDownloadOptions,
  type HubProgress,
  type HubSnapshot,
} from "../../../src/weights/hub/download-model-files.js";
import { parseHubModel } from "../../../src/weights/hub/hub-model.js";
import type { WantedFiles } from "../../../src/weights/hub/wanted-files.js";
import { assertRefused } from "../../helpers/assert-refused.js";
import { type HubServer, hubCommit, sendFile, startHub, toHubDigest } from "../../helpers/hub-server.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";

const large = Uint8Array.from({ length: 500_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
const files = { "onnx/model.onnx": large, "tokenizer.json": '{"a":1}', "config.json": "{}", "README.md": "no" };
const models = { "me/small": files, "private/small": files, "me/empty": { "README.md": "no" } };

const wanted: WantedFiles = {
  required: [
    { anyOf: ["tokenizer.json"] },
    { anyOf: ["text_model.onnx", "onnx/model.onnx", "model.onnx"], sidecarSuffix: "_data" },
  ],
  optional: ["config.json", "modules.json"],
  remedy: "export it as ONNX",
};

interface Case {
  readonly hub: HubServer;
  readonly cacheFolder: string;
  readonly fetch: (id?: string, options?: Partial<HubDownloadOptions>) => Promise<HubSnapshot>;
}

async function start(t: ExecutionContext): Promise<Case> {
  const hub = await startHub(models);
  t.teardown(() => hub.close());
  const cacheFolder = join(await createTemporaryFolder(t), "hub");
  return {
    hub,
    cacheFolder,
    fetch: (id = "me/small", options = {}) =>
      downloadModelFiles(parseHubModel(id), wanted, {
        endpoint: hub.endpoint,
        cacheFolder,
        firstDelayMs: 1,
        maxAttempts: 3,
        ...options,
      }),
  };
}

const digest = toHubDigest(large);

/** Whether the large file is there as it should be; quicker than AVA compares so many bytes. */
async function holdsLarge(folder: string): Promise<boolean> {
  return Buffer.compare(await readFile(join(folder, "onnx/model.onnx")), large) === 0;
}

test("files are fetched to the Hub's cache, laid out as its own tools do", async (t) => {
  const { fetch, cacheFolder } = await start(t);
  const progress: HubProgress[] = [];
  const snapshot = await fetch("me/small", { onProgress: (one) => progress.push(one) });
  const root = join(cacheFolder, "models--me--small");
  t.deepEqual(snapshot, { folder: join(root, "snapshots", hubCommit), commit: hubCommit, unknown: [] });
  t.true(await holdsLarge(snapshot.folder));
  t.is(await readFile(join(snapshot.folder, "tokenizer.json"), "utf8"), '{"a":1}');
  t.deepEqual((await readdir(snapshot.folder)).sort(), ["config.json", "onnx", "tokenizer.json"]);
  t.is(await readlink(join(snapshot.folder, "onnx/model.onnx")), `../../../blobs/${digest}`);
  t.is(await readlink(join(snapshot.folder, "config.json")), `../../blobs/${toHubDigest("{}")}`);
  t.deepEqual((await readdir(join(root, "blobs"))).sort(), ["{}", '{"a":1}', large].map(toHubDigest).sort());
  t.is(await readFile(join(root, "refs/main"), "utf8"), hubCommit);
  const absent = await readdir(join(root, ".no_exist", hubCommit), { recursive: true });
  t.deepEqual(absent.sort(), ["modules.json", "onnx", "onnx/model.onnx_data", "text_model.onnx"]);
  const total = large.length + 9;
  t.deepEqual(progress.at(-1), { file: "onnx/model.onnx", bytesDone: total, bytesTotal: total });
  for (const [index, { bytesDone }] of progress.entries()) t.true(bytesDone >= (progress[index - 1]?.bytesDone ?? 0));
});

test("what is there whole is used without the Hub", async (t) => {
  const { fetch, hub } = await start(t);
  const first = await fetch();
  await hub.close();
  t.deepEqual(await fetch(), first);
  t.deepEqual(await fetch(`me/small@${hubCommit}`), first);
  t.deepEqual(await fetch("me/small", { isOffline: true }), first);
});

test("a tag is remembered beside the branch, and its files are not fetched twice", async (t) => {
  const { fetch, hub, cacheFolder } = await start(t);
  await fetch();
  const before = hub.requests.length;
  await fetch("me/small@v1");
  t.is(hub.requests.length, before + 1);
  t.is(await readFile(join(cacheFolder, "models--me--small/refs/v1"), "utf8"), hubCommit);
});

test("the token goes to the Hub and not to where it redirects", async (t) => {
  const { fetch, hub } = await start(t);
  await fetch("private/small", { token: "right" });
  t.true(hub.requests.some(({ server }) => server === "content"));
  for (const { server, headers } of hub.requests) {
    t.is(headers.authorization, server === "hub" ? "Bearer right" : undefined);
  }
});

test("who may not read a model is told what to do", async (t) => {
  const { fetch, hub } = await start(t);
  const host = new URL(hub.endpoint).host;
  const refused = `${host} has no model private/small that may be read here (HTTP 401): check its name, and if it is private set HF_TOKEN to a token that may read it`;
  const denied = { kind: "access-denied", reason: "ACCESS_DENIED" } as const;
  await assertRefused(t, () => fetch("private/small"), { ...denied, message: refused });
  await assertRefused(t, () => fetch("private/small", { token: "wrong" }), { ...denied, message: refused });
  await assertRefused(t, () => fetch("gated/small", { token: "right" }), {
    ...denied,
    message: `gated/small is for those who have accepted its terms: accept them on ${host}/gated/small, and set HF_TOKEN to a token that may read it`,
  });
  const missing = { kind: "not-found", reason: "FILE_NOT_FOUND" } as const;
  await assertRefused(t, () => fetch("me/nothing", { token: "right" }), {
    ...missing,
    message: `${host} has no model me/nothing (HTTP 404); check its name`,
  });
  await assertRefused(t, () => fetch("me/small@v2"), {
    ...missing,
    message: `me/small on ${host} has no revision "v2"; check its name`,
  });
  await assertRefused(t, () => fetch("me/empty"), {
    ...missing,
    message: `me/empty has no file tokenizer.json on ${hub.endpoint}; export it as ONNX`,
  });
  await assertRefused(t, () => fetch("me/small", { token: "a\nb" }), {
    reason: "FIELD_INVALID",
    message: "The Hub's token has characters that HTTP does not allow; check it.",
  });
});

test("a broken connection goes on where it broke, and a later run where an earlier one ended", async (t) => {
  const { fetch, hub, cacheFolder } = await start(t);
  let breaks = 0;
  hub.answer = (request, response) => {
    if (request.server !== "content" || request.method !== "GET") return false;
    breaks++;
    const begin = Number(/\d+/.exec(request.headers.range ?? "")?.[0] ?? 0);
    response.writeHead(begin === 0 ? 200 : 206, {
      "content-length": String(large.length - begin),
      ...(begin > 0 && { "content-range": `bytes ${begin}-${large.length - 1}/${large.length}` }),
    });
    // The first attempts bring something, then none does.
    const count = breaks < 3 ? 100_000 : 0;
    response.write(large.subarray(begin, begin + count), () => setTimeout(() => response.destroy(), 5));
    return true;
  };
  await assertRefused(t, () => fetch(), {
    kind: "unavailable",
    reason: "SOURCE_UNAVAILABLE",
    message: /could not be fetched: .*onnx\/model\.onnx could not be read: the connection broke off, 3 times in a row/,
  });
  const partial = join(cacheFolder, "models--me--small/blobs", `${digest}.probestream.incomplete`);
  const { size } = await lstat(partial);
  t.true(size > 0 && size < large.length);
  hub.answer = () => false;
  const before = hub.requests.length;
  const { folder } = await fetch();
  t.true(await holdsLarge(folder));
  const ranges = hub.requests
    .slice(before)
    .flatMap(({ server, headers }) => (server === "content" ? [headers.range] : []));
  t.deepEqual(ranges, [`bytes=${size}-`]);
  await t.throwsAsync(() => lstat(partial), { code: "ENOENT" });
});

test("a server that knows no ranges gives the file once more", async (t) => {
  const { fetch, hub, cacheFolder } = await start(t);
  const blobs = join(cacheFolder, "models--me--small/blobs");
  await mkdir(blobs, { recursive: true });
  await writeFile(join(blobs, `${digest}.probestream.incomplete`), large.subarray(0, 1000));
  hub.answer = (request, response) => {
    if (request.server !== "content") return false;
    sendFile({ ...request, headers: {} }, response, large);
    return true;
  };
  const { folder } = await fetch();
  t.true(await holdsLarge(folder));
});

test("what another left there is thrown away if it does not fit", async (t) => {
  const { fetch, cacheFolder } = await start(t);
  const partial = join(cacheFolder, "models--me--small/blobs", `${digest}.probestream.incomplete`);
  for (const found of [new Uint8Array(1000), new Uint8Array(large.length), new Uint8Array(large.length + 1)]) {
    await rm(cacheFolder, { recursive: true, force: true });
    await mkdir(join(partial, ".."), { recursive: true });
    await writeFile(partial, found);
    const { folder } = await fetch();
    t.true(await holdsLarge(folder));
  }
});

test("a file with a wrong checksum is refused, and nothing is kept of it", async (t) => {
  const { fetch, hub, cacheFolder } = await start(t);
  for (const [server, path, content] of [
    ["content", "onnx/model.onnx", large.map((byte, index) => (index === 250_000 ? byte ^ 1 : byte))],
    ["hub", "tokenizer.json", '{"a":2}'],
  ] as const) {
    await rm(cacheFolder, { recursive: true, force: true });
    hub.answer = (request, response) => {
      const isFile = request.path.endsWith(path) && (server === "content" || request.path.startsWith("/api/resolve"));
      if (request.server !== server || request.method !== "GET" || !isFile) return false;
      sendFile(request, response, content);
      return true;
    };
    await assertRefused(t, () => fetch(), {
      kind: "corrupt-data",
      reason: "DIGEST_MISMATCH",
      message: `${hub.endpoint}/me/small/resolve/${hubCommit}/${path} has the checksum ${toHubDigest(content)}, the Hub says ${toHubDigest(files[path])}; nothing is kept of it, try again`,
    });
    const left = await readdir(join(cacheFolder, "models--me--small/blobs"));
    t.false(left.some((name) => name.startsWith(toHubDigest(files[path]))));
  }
  hub.answer = () => false;
  t.is((await fetch()).commit, hubCommit);
});

test("faults that pass are tried again", async (t) => {
  const { fetch, hub } = await start(t);
  const failed = new Set<string>();
  hub.answer = (request, response) => {
    const key = `${request.server} ${request.method} ${request.path}`;
    if (failed.has(key)) return false;
    failed.add(key);
    response.writeHead(503).end();
    return true;
  };
  t.is((await fetch()).commit, hubCommit);
  t.true(failed.size >= 8);
});

test("where the Hub is out of reach, it is said which files to put where", async (t) => {
  const { fetch, hub, cacheFolder } = await start(t);
  const root = join(cacheFolder, "models--me--small");
  const explained = (why: string): string =>
    `The files of me/small are not in ${root}, and could not be fetched: ${why}. ` +
    `Where ${hub.endpoint} can be reached, download from ${hub.endpoint}/me/small/tree/main ` +
    "tokenizer.json; the first that is there of text_model.onnx, onnx/model.onnx, model.onnx (with its _data file, if there is one); and those that are there of config.json, modules.json. " +
    "Put them into one folder, each at its path there, and give that folder in place of the id.";
  const unavailable = { kind: "unavailable", reason: "SOURCE_UNAVAILABLE" } as const;
  await assertRefused(t, () => fetch("me/small", { isOffline: true }), {
    ...unavailable,
    message: explained("offline mode is on (HF_HUB_OFFLINE)"),
  });
  t.is(hub.requests.length, 0);
  await hub.close();
  const host = new URL(hub.endpoint).host;
  await assertRefused(t, () => fetch(), {
    ...unavailable,
    message: explained(
      `${hub.endpoint}/api/models/me/small/revision/main could not be read: ${host}: ECONNREFUSED, 3 times in a row. Try again later`,
    ),
  });
});

test("files that someone put there are used offline, and it is told what is not known", async (t) => {
  const { fetch, hub, cacheFolder } = await start(t);
  const root = join(cacheFolder, "models--me--small");
  const folder = join(root, "snapshots", hubCommit);
  await mkdir(join(folder, "onnx"), { recursive: true });
  await mkdir(join(root, "refs"));
  await writeFile(join(root, "refs/main"), `${hubCommit}\n`);
  await writeFile(join(folder, "tokenizer.json"), '{"a":1}');
  await writeFile(join(folder, "onnx/model.onnx"), large);
  const unknown = ["config.json", "modules.json", "text_model.onnx", "onnx/model.onnx_data"];
  t.deepEqual(await fetch("me/small", { isOffline: true }), { folder, commit: hubCommit, unknown });
  // With the Hub at hand, only what is missing is fetched.
  t.deepEqual((await fetch()).unknown, []);
  t.is(await readFile(join(folder, "config.json"), "utf8"), "{}");
  t.false(hub.requests.some(({ server }) => server === "content"));
});

test("several processes at once do no harm", async (t) => {
  const { fetch } = await start(t);
  const snapshots = await Promise.all([fetch(), fetch(), fetch(), fetch()]);
  for (const { folder } of snapshots) {
    t.true(await holdsLarge(folder));
  }
});

test("a signal ends the download, and what came is kept for the next", async (t) => {
  const { fetch, hub, cacheFolder } = await start(t);
  const stop = new AbortController();
  hub.answer = (request, response) => {
    if (request.server !== "content" || request.method !== "GET") return false;
    response.writeHead(200, { "content-length": String(large.length) });
    response.write(large.subarray(0, 200_000), () => setTimeout(() => stop.abort(new Error("enough")), 20));
    return true;
  };
  await t.throwsAsync(() => fetch("me/small", { signal: stop.signal }), { message: "enough" });
  const partial = join(cacheFolder, "models--me--small/blobs", `${digest}.probestream.incomplete`);
  const { length } = await readFile(partial);
  t.true(length > 0 && length <= 200_000);
  t.is(Buffer.compare(await readFile(partial), large.subarray(0, length)), 0);
});

test("answers that are not the Hub's are told", async (t) => {
  const { fetch, hub } = await start(t);
  hub.answer = (_, response) => {
    response.end("<html>hello</html>");
    return true;
  };
  await assertRefused(t, () => fetch(), {
    kind: "unavailable",
    reason: "SOURCE_UNAVAILABLE",
    message: /revision\/main is not answered as by the Hugging Face Hub: its description of the model has no commit/,
  });
  hub.answer = (request, response) => {
    if (request.method !== "HEAD") return false;
    // An ETag that looks like SHA-256 is not the Hub's word for one.
    response.writeHead(200, { etag: `"${"a".repeat(64)}"`, "content-length": "7" }).end();
    return true;
  };
  await assertRefused(t, () => fetch(), {
    kind: "unavailable",
    reason: "SOURCE_UNAVAILABLE",
    message: /it gives no size, or no checksum, of the file; check HF_ENDPOINT/,
  });
});

test("a cache that cannot be written says so", async (t) => {
  const { fetch, cacheFolder } = await start(t);
  await writeFile(cacheFolder, "a file, no folder");
  await assertRefused(t, () => fetch(), {
    reason: "SOURCE_UNAVAILABLE",
    message: /could not be written \(ENOTDIR\); check the rights and the room of the cache folder, or set HF_HUB_CACHE/,
  });
});

const onLinux = process.platform === "linux" ? test : test.skip;

onLinux("a cache where Linux lets nobody make folders says so, and does not try for ever", async (t) => {
  const { fetch } = await start(t);
  await assertRefused(t, () => fetch("me/small", { cacheFolder: "/proc/probestream/hub" }), {
    reason: "SOURCE_UNAVAILABLE",
    message: /could not be written \(ENOENT\)/,
  });
});
