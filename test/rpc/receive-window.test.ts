import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Server } from "@grpc/grpc-js";
import test, { type ExecutionContext } from "ava";
import { startDelayProxy } from "../../bench/delay-proxy.js";
import { InternalError, InvalidInputError } from "../../src/errors/probestream-error.js";
import { protocolWindowBytes, setReceiveWindow } from "../../src/rpc/receive-window.js";
import { defaultReceiveWindowBytes, widestReceiveWindowBytes } from "../../src/rpc/server.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import { until } from "../helpers/until.js";

/** A server that is never sent a model: what it would compute with loads fast. */
function start(options: Parameters<typeof startTestServer>[1] = {}): Promise<TestServer> {
  return startTestServer([], { backend: "plain", ...options });
}

/** What a server says first: SETTINGS_INITIAL_WINDOW_SIZE, and the sum of its WINDOW_UPDATEs for the connection. */
interface FirstWords {
  readonly streamWindow: number;
  readonly connectionWindow: number;
}

/** Reads frames off a bare socket until the server has acknowledged our settings and answered a ping. */
async function readFirstWords(port: number): Promise<FirstWords> {
  const socket = connectTcp(port, "127.0.0.1");
  await once(socket, "connect");
  const ping = Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings, ping]));
  let streamWindow = protocolWindowBytes;
  let connectionWindow = protocolWindowBytes;
  let received = Buffer.alloc(0);
  for await (const data of socket) {
    received = Buffer.concat([received, data as Buffer]);
    while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
      const length = received.readUIntBE(0, 3);
      const [type, flags] = [received[3], received[4] ?? 0];
      const stream = received.readUInt32BE(5);
      const payload = received.subarray(9, 9 + length);
      received = received.subarray(9 + length);
      if (type === 4 && (flags & 1) === 0) {
        for (let at = 0; at < length; at += 6) {
          if (payload.readUInt16BE(at) === 4) streamWindow = payload.readUInt32BE(at + 2);
        }
      }
      if (type === 8 && stream === 0) connectionWindow += payload.readUInt32BE(0);
      if (type === 6 && (flags & 1) === 1) {
        socket.destroy();
        return { streamWindow, connectionWindow };
      }
    }
  }
  throw new Error("the server closed the connection");
}

for (const bytes of [undefined, protocolWindowBytes, 1024 * 1024, 16 * 1024 * 1024]) {
  test(`the windows on the wire are those configured: ${bytes ?? "default"}`, async (t) => {
    const server = await start(bytes === undefined ? {} : { receiveWindowBytes: bytes });
    try {
      const expected = bytes ?? defaultReceiveWindowBytes;
      t.deepEqual(await readFirstWords(server.port), { streamWindow: expected, connectionWindow: expected });
      const session: ClientHttp2Session = connect(`http://127.0.0.1:${server.port}`);
      await once(session, "remoteSettings");
      t.is(session.remoteSettings.initialWindowSize, expected);
      session.destroy();
      t.is(server.embedder.memory.stream.receiveWindowBytes, expected);
    } finally {
      await server.close();
    }
  });
}

/** Reads the window that the server ends up with on a connection with this round trip. */
async function readWindow(t: ExecutionContext, rttMs: number, server: TestServer): Promise<number | undefined> {
  const proxy = await startDelayProxy({ target: server.target, rttMs });
  t.teardown(() => proxy.stop());
  const session = connect(`http://${proxy.target}`);
  t.teardown(() => session.destroy());
  let latest: number | undefined;
  session.on("remoteSettings", ({ initialWindowSize }) => {
    latest = initialWindowSize;
  });
  await sleep(600 + 8 * rttMs);
  return latest;
}

test("a connection with a long round trip gets a wider window, which counts against the memory plan", async (t) => {
  const server = await start();
  t.teardown(() => server.close());
  const { memory } = server.embedder;
  t.is(await readWindow(t, 60, server), widestReceiveWindowBytes);
  t.is(memory.connectionBytes, widestReceiveWindowBytes - defaultReceiveWindowBytes);
  t.is(memory.reservedBytes, memory.connectionBytes);
});

test("the memory of a wider window is given back when its connection ends", async (t) => {
  const server = await start();
  t.teardown(() => server.close());
  const proxy = await startDelayProxy({ target: server.target, rttMs: 60 });
  const session = connect(`http://${proxy.target}`);
  await t.notThrowsAsync(until(() => server.embedder.memory.reservedBytes > 0, "the window is widened"));
  session.destroy();
  await proxy.stop();
  await t.notThrowsAsync(until(() => server.embedder.memory.reservedBytes === 0, "its memory is given back"));
});

test("a window stays as it is where the memory plan has no room, or where its size was chosen", async (t) => {
  const tight = await start({ memoryBudgetBytes: 1024 * 1024 });
  t.teardown(() => tight.close());
  t.is(await readWindow(t, 60, tight), defaultReceiveWindowBytes);
  const chosen = await start({ receiveWindowBytes: 1024 * 1024 });
  t.teardown(() => chosen.close());
  t.is(await readWindow(t, 60, chosen), 1024 * 1024);
});

for (const bytes of [0, 65_534, 2 ** 31, 1e6 + 0.5]) {
  test(`a window that HTTP/2 does not allow is refused: ${bytes}`, async (t) => {
    const error = await t.throwsAsync(start({ receiveWindowBytes: bytes }), {
      instanceOf: InvalidInputError,
    });
    t.is(error?.message, `the receive window is ${bytes} bytes; HTTP/2 allows 65535 to 2147483647 (--receive-window)`);
  });
}

test("a grpc-js that keeps its HTTP/2 server elsewhere is refused loudly", (t) => {
  t.notThrows(() => setReceiveWindow(new Server(), 1024 * 1024));
  const other = Object.create(Server.prototype) as Server;
  t.throws(() => setReceiveWindow(other, 1024 * 1024), {
    instanceOf: InternalError,
    message: /review setReceiveWindow/,
  });
});
