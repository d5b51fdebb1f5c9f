import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { Server } from "@grpc/grpc-js";
import test from "ava";
import { InternalError, InvalidInputError } from "../../src/errors/probestream-error.js";
import { protocolWindowBytes, setReceiveWindow } from "../../src/rpc/receive-window.js";
import { defaultReceiveWindowBytes } from "../../src/rpc/server.js";
import { startTestServer } from "../helpers/rpc-server.js";

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
      if (type === 6) {
        socket.destroy();
        return { streamWindow, connectionWindow };
      }
    }
  }
  throw new Error("the server closed the connection");
}

for (const bytes of [undefined, protocolWindowBytes, 1024 * 1024, 16 * 1024 * 1024]) {
  test(`the windows on the wire are those configured: ${bytes ?? "default"}`, async (t) => {
    const server = await startTestServer([], bytes === undefined ? {} : { receiveWindowBytes: bytes });
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

for (const bytes of [0, 65_534, 2 ** 31, 1e6 + 0.5]) {
  test(`a window that HTTP/2 does not allow is refused: ${bytes}`, async (t) => {
    const error = await t.throwsAsync(startTestServer([], { receiveWindowBytes: bytes }), {
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
