import test, { type ExecutionContext } from "ava";
import {
  AccessDeniedError,
  CorruptDataError,
  InvalidInputError,
  LimitExceededError,
  NotFoundError,
  UnavailableError,
} from "../../src/errors/probestream-error.js";
import type { ByteSource } from "../../src/weights/byte-source.js";
import { PREFIX_BYTES } from "../../src/weights/http-downloader.js";
import { parseRetryAfter } from "../../src/weights/http-retry.js";
import { openHttpSource } from "../../src/weights/http-source.js";
import { parseHttpUrl } from "../../src/weights/http-url.js";
import { type Answer, type RangeServer, serveRange, startRangeServer, toRange } from "./range-server.js";

const content = Uint8Array.from({ length: 700_001 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
const files = { "/f.safetensors": content, "/small": content.slice(0, 1000), "/empty": new Uint8Array() };
const quick = { firstDelayMs: 1 };

async function start(t: ExecutionContext, answer?: Answer): Promise<RangeServer> {
  const server = await startRangeServer(files, answer);
  t.teardown(() => server.close());
  return server;
}

/** As `deepEqual`, which takes a second for some megabytes. */
function assertBytes(t: ExecutionContext, found: Uint8Array, expected: Uint8Array): void {
  const at = found.findIndex((byte, i) => byte !== expected[i]);
  t.is(Buffer.compare(found, expected), 0, `${found.length} of ${expected.length} bytes, another at ${at}`);
}

async function collect(source: ByteSource, begin: number, end: number, chunkBytes?: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source.stream(begin, end, { chunkBytes })) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

test("a remote file is read by ranges, never whole", async (t) => {
  const server = await start(t);
  const source = await openHttpSource(`${server.origin}/f.safetensors`);
  t.is(source.size, content.length);
  assertBytes(t, await source.read(100, 200), content.slice(100, 200));
  t.is(server.requests.length, 1, "the start is there from the opening");
  assertBytes(t, await source.read(300_000, 300_100), content.slice(300_000, 300_100));
  t.deepEqual(toRange(server.requests[1] ?? t.fail()), [300_000, 300_099]);
  t.is(server.requests[1]?.headers["if-match"], '"v1"');
  t.is(server.requests[1]?.headers["accept-encoding"], "identity");
});

for (const [title, headers, isIdentified] of [
  ["an ETag", { etag: '"v1"' }, true],
  ["a date", { "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT" }, true],
  ["neither", {}, false],
] as const) {
  test(`a remote file is told by its state where the server gives ${title}`, async (t) => {
    const server = await start(t, (request, response) => {
      serveRange(request, response, content, headers);
      return true;
    });
    const url = `${server.origin}/f.safetensors`;
    const source = await openHttpSource(url);
    t.is(source.isIdentified, isIdentified);
    t.is(source.fingerprint, (await openHttpSource(url)).fingerprint);
  });
}

test("a small remote file is told by its bytes", async (t) => {
  let content = Uint8Array.of(1, 2, 3);
  const server = await start(t, (request, response) => {
    serveRange(request, response, content, {});
    return true;
  });
  const first = await openHttpSource(`${server.origin}/small`);
  content = Uint8Array.of(1, 2, 4);
  const second = await openHttpSource(`${server.origin}/small`);
  t.true(first.isIdentified);
  t.not(first.fingerprint, second.fingerprint);
});

test("a remote stream gives the bytes of a single read at many piece lengths", async (t) => {
  const server = await start(t);
  const source = await openHttpSource(`${server.origin}/f.safetensors`);
  const oracle = content.slice(5, 650_000);
  assertBytes(t, await source.read(5, 650_000), oracle);
  for (const chunkBytes of [997, 4096, 65_536, 649_995, 1_048_576]) {
    const pieces: Uint8Array[] = [];
    for await (const piece of source.stream(5, 650_000, { chunkBytes })) pieces.push(piece);
    t.true(pieces.slice(0, -1).every((piece) => piece.length === chunkBytes));
    t.is(new Set(pieces.map((piece) => piece.buffer)).size, pieces.length);
    assertBytes(t, new Uint8Array(Buffer.concat(pieces)), oracle);
  }
});

test("small and empty files are read whole by the first request", async (t) => {
  const server = await start(t);
  const small = await openHttpSource(`${server.origin}/small`);
  t.is(small.size, 1000);
  assertBytes(t, await collect(small, 0, 1000, 7), files["/small"]);
  t.is((await openHttpSource(`${server.origin}/empty`)).size, 0);
  t.is(server.requests.length, 2);
});

test("a redirect to another server takes no token along", async (t) => {
  const store = await start(t);
  const hub = await start(t, (_, response) => {
    response.writeHead(302, { location: `${store.origin}/f.safetensors?signature=s3cret` }).end();
    return true;
  });
  const options = { token: "hf_token", headers: { "X-Key": "mine" } };
  const source = await openHttpSource(`${hub.origin}/f.safetensors?q=private#x`, options);
  t.is(source.name, `${hub.origin}/f.safetensors`);
  assertBytes(t, await collect(source, 200_000, 400_000), content.slice(200_000, 400_000));
  t.is(hub.requests.length, 1, "the signed address is used again");
  t.is(hub.requests[0]?.headers.authorization, "Bearer hf_token");
  t.is(hub.requests[0]?.headers["x-key"], "mine");
  t.is(store.requests.length, 2);
  for (const request of store.requests) {
    t.is(request.headers.authorization, undefined);
    t.is(request.headers["x-key"], undefined);
  }
});

test("a signed address that expires is asked for again", async (t) => {
  let signature = 1;
  const store = await start(t, (request, response) => {
    if (request.url?.endsWith(`=${signature}`)) return false;
    response.writeHead(403).end();
    return true;
  });
  const hub = await start(t, (_, response) => {
    response.writeHead(307, { location: `${store.origin}/f.safetensors?s=${signature}`, etag: '"hub"' }).end();
    return true;
  });
  const source = await openHttpSource(`${hub.origin}/f.safetensors`, { token: "x" });
  signature = 2;
  assertBytes(t, await source.read(400_000, 500_000), content.slice(400_000, 500_000));
  t.is(hub.requests.length, 2);
  t.is(hub.requests[1]?.headers["if-match"], undefined);
});

test("redirects without end and redirects to no URL are refused", async (t) => {
  const server = await start(t, (request, response) => {
    response.writeHead(302, { location: request.url === "/file" ? "file:///etc/passwd" : "/again" }).end();
    return true;
  });
  await t.throwsAsync(openHttpSource(`${server.origin}/x`), { instanceOf: InvalidInputError, message: /more than 5/ });
  t.is(server.requests.length, 6);
  await t.throwsAsync(openHttpSource(`${server.origin}/file`), { instanceOf: InvalidInputError, message: /no http/ });
});

test("a redirect from https to http is refused", async (t) => {
  const location = "http://plain.example/f";
  const fetch = async () => new Response(null, { status: 302, headers: { location } });
  await t.throwsAsync(openHttpSource("https://hub.example/f", { fetch }), { message: /from https to http/ });
});

test("429 is tried again when Retry-After says so", async (t) => {
  const times: number[] = [];
  const server = await start(t, (_, response, count) => {
    times.push(Date.now());
    if (count > 2) return false;
    response.writeHead(429, { "retry-after": "1" }).end();
    return true;
  });
  const source = await openHttpSource(`${server.origin}/f.safetensors`, quick);
  t.is(source.size, content.length);
  t.is(server.requests.length, 3);
  t.true((times[1] ?? 0) - (times[0] ?? 0) >= 990);
});

test("Retry-After is read in both its forms and capped at a minute", (t) => {
  const now = Date.parse("2025-01-01T00:00:00Z");
  t.is(parseRetryAfter("7"), 7000);
  t.is(parseRetryAfter("86400"), 60_000);
  t.is(parseRetryAfter("Wed, 01 Jan 2025 00:00:09 GMT", now), 9000);
  t.is(parseRetryAfter("Wed, 01 Jan 2020 00:00:00 GMT", now), 0);
  t.is(parseRetryAfter("soon"), undefined);
  t.is(parseRetryAfter(null), undefined);
});

test("a server that keeps failing is given up after the attempts allowed", async (t) => {
  const server = await start(t, (_, response) => {
    response.writeHead(503).end();
    return true;
  });
  const opening = openHttpSource(`${server.origin}/f.safetensors?token=s3cret`, { ...quick, maxAttempts: 3 });
  const error = await t.throwsAsync(opening, { instanceOf: UnavailableError });
  t.is(error?.reason, "SOURCE_UNAVAILABLE");
  t.regex(error?.message ?? "", /HTTP 503, 3 times/);
  t.false(error?.message.includes("s3cret"));
  t.is(server.requests.length, 3);
});

test("a server that is not there is given up after the attempts allowed", async (t) => {
  const server = await startRangeServer({});
  await server.close();
  const opening = openHttpSource(`${server.origin}/f`, { ...quick, maxAttempts: 2 });
  await t.throwsAsync(opening, { instanceOf: UnavailableError, message: /ECONNREFUSED, 2 times/ });
});

test("a read that breaks off in the middle goes on from the byte reached", async (t) => {
  const begins: number[] = [];
  const server = await start(t, (request, response, count) => {
    const [begin, last] = toRange(request);
    begins.push(begin);
    if (count === 1 || count > 8) return false;
    const headers = { etag: '"v1"', "content-range": `bytes ${begin}-${last}/${content.length}` };
    response.writeHead(206, { ...headers, "content-length": String(last + 1 - begin) });
    response.write(content.subarray(begin, begin + 70_000), () => response.destroy());
    return true;
  });
  const source = await openHttpSource(`${server.origin}/f.safetensors`, { ...quick, maxAttempts: 2 });
  assertBytes(t, await collect(source, 1, 700_000, 10_000), content.slice(1, 700_000));
  t.true(begins.slice(2).every((begin, i) => begin > (begins[i + 1] ?? 0)));
});

test("an answer shorter than its request goes on with the next", async (t) => {
  const server = await start(t, (request, response, count) => {
    if (count === 1) return false;
    const [begin, last] = toRange(request);
    const end = Math.min(last + 1, begin + 100_000);
    const headers = { etag: '"v1"', "content-range": `bytes ${begin}-${end - 1}/${content.length}` };
    response.writeHead(206, headers).end(content.subarray(begin, end));
    return true;
  });
  const source = await openHttpSource(`${server.origin}/f.safetensors`, quick);
  assertBytes(t, await source.read(0, 700_000), content.slice(0, 700_000));
});

test("silence counts as a failure", async (t) => {
  const server = await start(t, (_, __, count) => count === 2);
  const source = await openHttpSource(`${server.origin}/f.safetensors`, { ...quick, idleMs: 1000 });
  assertBytes(t, await source.read(600_000, 600_010), content.slice(600_000, 600_010));
  t.is(server.requests.length, 3);
});

test("a server that ignores ranges gives small files only", async (t) => {
  const big = new Uint8Array(2_000_000);
  const server = await start(t, (request, response) => {
    if (request.url === "/small") response.writeHead(200).end(files["/small"]);
    else if (request.url === "/chunked") response.writeHead(200).end(big);
    else response.writeHead(200, { "content-length": String(big.length) }).end(big);
    return true;
  });
  const small = await openHttpSource(`${server.origin}/small`);
  assertBytes(t, await collect(small, 10, 900, 64), content.slice(10, 900));
  for (const path of ["/chunked", "/big"]) {
    const error = await t.throwsAsync(openHttpSource(server.origin + path), { instanceOf: LimitExceededError });
    t.regex(error?.message ?? "", /ignores range requests.*Download the file/);
  }
});

test("a small file from a server without ranges survives a broken connection", async (t) => {
  const server = await start(t, (_, response, count) => {
    response.writeHead(200, { "content-length": "1000", etag: '"v1"' });
    if (count === 1) response.write(content.subarray(0, 10), () => response.destroy());
    else response.end(files["/small"]);
    return true;
  });
  assertBytes(t, await (await openHttpSource(`${server.origin}/small`, quick)).read(0, 1000), files["/small"]);
});

test("a file whose ETag changes between requests is refused", async (t) => {
  const server = await start(t, (request, response, count) => {
    serveRange(request, response, content, { etag: `W/"v${count}"` });
    return true;
  });
  const source = await openHttpSource(`${server.origin}/f.safetensors`);
  const error = await t.throwsAsync(source.read(PREFIX_BYTES, 200_000), {
    instanceOf: CorruptDataError,
    message: /ETag/,
  });
  t.is(error?.reason, "CORRUPT");
  t.is(server.requests[1]?.headers["if-match"], undefined, "weak ETags never match");
});

test("a file that changes its size or date, or fails If-Match, is refused", async (t) => {
  const answers: Record<string, Answer> = {
    "/size": (request, response, count) => {
      serveRange(request, response, content.subarray(0, content.length - count));
      return true;
    },
    "/date": (request, response, count) => {
      serveRange(request, response, content, { "last-modified": new Date(count * 1e9).toUTCString() });
      return true;
    },
    "/match": (_, response, count) => {
      if (count > 1) response.writeHead(412).end();
      return count > 1;
    },
  };
  for (const [name, answer] of Object.entries(answers)) {
    const server = await start(t, answer);
    const source = await openHttpSource(`${server.origin}/f.safetensors`);
    await t.throwsAsync(source.read(300_000, 300_001), { instanceOf: CorruptDataError }, name);
  }
});

test("a file that is not there and one that may not be read have errors of their own", async (t) => {
  const server = await start(t, (request, response) => {
    const status = Number.parseInt(request.url?.slice(1) ?? "", 10);
    if (status > 0) response.writeHead(status).end();
    return status > 0;
  });
  await t.throwsAsync(openHttpSource(`${server.origin}/none`), { instanceOf: NotFoundError, message: /no file at/ });
  for (const status of [401, 403]) {
    const opening = openHttpSource(`${server.origin}/${status}?sig=s3cret`);
    const error = await t.throwsAsync(opening, { instanceOf: AccessDeniedError });
    t.regex(error?.message ?? "", /HF_TOKEN.*--header/);
    t.false(error?.message.includes("s3cret"));
  }
  t.is(server.requests.length, 3);
});

test("an answer that does not fit its request is refused", async (t) => {
  const server = await start(t, (_, response) => {
    response.writeHead(206, { "content-range": "bytes 5-9/100" }).end("12345");
    return true;
  });
  await t.throwsAsync(openHttpSource(`${server.origin}/x`), { instanceOf: UnavailableError, message: /does not fit/ });
});

test("credentials in a URL become a header and are never shown", async (t) => {
  const server = await start(t);
  const url = new URL(`${server.origin}/small`);
  url.username = "me";
  url.password = "pass word";
  const source = await openHttpSource(url.href);
  t.is(source.name, `${server.origin}/small`);
  t.is(server.requests[0]?.headers.authorization, `Basic ${Buffer.from("me:pass word").toString("base64")}`);
});

test("a token that HTTP does not allow is refused without repeating it", async (t) => {
  const error = await t.throwsAsync(openHttpSource("https://hub.example/f", { token: "s3cret\n!" }), {
    instanceOf: InvalidInputError,
  });
  t.false(JSON.stringify([error?.message, error?.facts, String(error?.cause)]).includes("s3cret"));
});

test("pages of Hugging Face become the files that they show", (t) => {
  const rewritten = parseHttpUrl("https://huggingface.co/a/b/blob/main/x/blob/m.safetensors").url.href;
  t.is(rewritten, "https://huggingface.co/a/b/resolve/main/x/blob/m.safetensors");
  t.is(parseHttpUrl("https://example.com/a/b/blob/main/m").url.pathname, "/a/b/blob/main/m");
  t.throws(() => parseHttpUrl("http://"), { instanceOf: InvalidInputError });
});

test("an aborted download stops with the signal's reason and lets go of the connection", async (t) => {
  const server = await start(t, (request, response, count) => {
    if (count === 1) return false;
    const [begin, last] = toRange(request);
    const headers = { etag: '"v1"', "content-range": `bytes ${begin}-${last}/${content.length}` };
    response.writeHead(206, headers).write(content.subarray(begin, begin + 5000));
    return true;
  });
  const source = await openHttpSource(`${server.origin}/f.safetensors`);
  const controller = new AbortController();
  const reason = new Error("enough");
  const read = async () => {
    for await (const _ of source.stream(0, 700_000, { chunkBytes: 1000, signal: controller.signal }))
      controller.abort(reason);
  };
  t.is(await t.throwsAsync(read), reason);
});

test("a stream that is left early lets go of its connection", async (t) => {
  let closed = 0;
  const server = await start(t, (_, response) => {
    response.on("close", () => closed++);
    return false;
  });
  const source = await openHttpSource(`${server.origin}/f.safetensors`);
  for await (const _ of source.stream(0, 700_000, { chunkBytes: 10 })) break;
  assertBytes(t, await source.read(500_000, 500_010), content.slice(500_000, 500_010));
  t.true(closed >= 2);
});
