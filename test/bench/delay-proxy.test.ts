import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import { type DelayProxy, startDelayProxy } from "../../bench/delay-proxy.js";

const RTT_MS = 40;

test("a round trip takes at least the delay", async (t) => {
  const socket = await openThroughProxy(t, { rttMs: RTT_MS });
  for (let trip = 0; trip < 3; trip++) {
    const start = performance.now();
    socket.write("x");
    await once(socket, "data");
    // A millisecond for the clock's grain.
    t.true(performance.now() - start >= RTT_MS - 1);
  }
});

test("without a delay bytes pass at once", async (t) => {
  const socket = await openThroughProxy(t, { rttMs: 0 });
  socket.end("abc");
  t.is((await readAll(socket)).toString(), "abc");
});

for (const size of [0, 1, 2, 65_535, 65_536, 65_537, 1_000_003, 8 * 1024 ** 2]) {
  test(`${size} bytes come back intact, and so does the end`, async (t) => {
    const socket = await openThroughProxy(t, { rttMs: 4 });
    const bytes = randomBytes(size);
    socket.end(bytes);
    t.is(toDigest(await readAll(socket)), toDigest(bytes));
  });
}

test("many small writes come back in order", async (t) => {
  const socket = await openThroughProxy(t, { rttMs: 10 });
  const parts = Array.from({ length: 500 }, (_, index) => `${index};`);
  for (const part of parts) {
    socket.write(part);
    if (part.endsWith("9;")) await new Promise(setImmediate);
  }
  socket.end();
  t.is((await readAll(socket)).toString(), parts.join(""));
});

test("a sender is paused when too much is held back", async (t) => {
  const maxHeldBytes = 256 * 1024;
  const socket = await openThroughProxy(t, { rttMs: 600, maxHeldBytes });
  let sent = 0;
  const deadline = performance.now() + 250;
  // Nothing is delivered for 300 ms: what gets written by then lies in the proxy and in the kernel's buffers.
  while (performance.now() < deadline) {
    const block = Buffer.alloc(64 * 1024);
    await Promise.race([
      new Promise<void>((resolve) => {
        socket.write(block, () => {
          sent += block.length;
          resolve();
        });
      }),
      new Promise((resolve) => setTimeout(resolve, 300)),
    ]);
  }
  t.true(sent >= maxHeldBytes);
  // The kernel buffers at most 6 MiB on the way in by default, and as much on the way out.
  t.true(sent <= maxHeldBytes + 16 * 1024 ** 2, `${sent} bytes were taken`);
});

test("a link of a rate takes its time for all connections together, and counts what passed", async (t) => {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.resume().on("end", () => socket.end("done")));
  // 100 KB at 4 Mbit/s take 200 ms.
  const proxy = await startProxy(t, server, { rttMs: 0, bitsPerSecond: 4e6 });
  const started = performance.now();
  const answers = await Promise.all(
    [1, 2].map((part) => {
      const socket = connectTo(proxy);
      t.teardown(() => socket.destroy());
      socket.end(Buffer.alloc(part * 33_333));
      return readAll(socket);
    }),
  );
  const tookMs = performance.now() - started;
  t.deepEqual(answers.map(String), ["done", "done"]);
  t.true(tookMs >= 199, `${tookMs} ms`);
  t.deepEqual(proxy.passed, { up: 99_999, down: 8 });
});

test("a connection that is cut on one side is cut on the other", async (t) => {
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    socket.on("error", () => undefined);
    socket.resume();
  });
  const proxy = await startProxy(t, server, { rttMs: 2 });
  const socket = connectTo(proxy);
  await once(socket, "connect");
  socket.write("x");
  await new Promise((resolve) => setTimeout(resolve, 50));
  const [near] = accepted;
  if (near === undefined) return t.fail("nothing was accepted");
  t.false(socket.destroyed);
  const cut = once(socket, "close", { signal: AbortSignal.timeout(5000) });
  near.resetAndDestroy();
  await t.notThrowsAsync(cut);

  const other = connectTo(proxy);
  await once(other, "connect");
  other.write("x");
  await new Promise((resolve) => setTimeout(resolve, 50));
  const [, far] = accepted;
  if (far === undefined) return t.fail("nothing was accepted");
  t.false(far.destroyed);
  const left = once(far, "close", { signal: AbortSignal.timeout(5000) });
  other.resetAndDestroy();
  return t.notThrowsAsync(left);
});

test("a target without a port is refused", async (t) => {
  await t.throwsAsync(startDelayProxy({ target: "localhost", rttMs: 1 }), { message: "localhost is not HOST:PORT" });
});

interface Setting {
  readonly rttMs: number;
  readonly maxHeldBytes?: number;
  readonly bitsPerSecond?: number;
}

/** Connects through a proxy to a server that sends everything back. */
async function openThroughProxy(t: ExecutionContext, setting: Setting): Promise<Socket> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  const socket = connectTo(await startProxy(t, server, setting));
  t.teardown(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function startProxy(
  t: ExecutionContext,
  server: ReturnType<typeof createServer>,
  setting: Setting,
): Promise<DelayProxy> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy = await startDelayProxy({ target: `127.0.0.1:${port}`, ...setting });
  t.teardown(async () => {
    await proxy.stop();
    server.close();
  });
  return proxy;
}

function connectTo(proxy: DelayProxy): Socket {
  const socket = connect({ host: "127.0.0.1", port: Number(proxy.target.split(":")[1]), noDelay: true });
  socket.on("error", () => undefined);
  return socket;
}

async function readAll(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  await once(socket, "end");
  return Buffer.concat(parts);
}

function toDigest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
