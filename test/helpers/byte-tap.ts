import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy that keeps what clients send. */
export interface ByteTap {
  /** `127.0.0.1:PORT`. */
  readonly target: string;
  /** All that was sent to the server so far. */
  sent(): Buffer;
  /** What HTTP/2 carried as data in it, without the frames around: connections one after another. */
  data(): Buffer;
  close(): void;
}

/** Starts a tap before `HOST:PORT`. */
export async function startByteTap(target: string): Promise<ByteTap> {
  const [host = "", port = ""] = target.split(":");
  const parts: Buffer[] = [];
  const connections: Buffer[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ host, port: Number(port) });
    const own: Buffer[] = [];
    connections.push(own);
    near.on("data", (data: Buffer) => {
      parts.push(data);
      own.push(data);
    });
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
  });
  const bound = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  return {
    target: `127.0.0.1:${bound}`,
    sent: () => Buffer.concat(parts),
    data: () => Buffer.concat(connections.flatMap((own) => toData(Buffer.concat(own)))),
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** How many runs lie in the bytes; looks for each behind the one before first, for a stream has them in order. */
export function countRuns(bytes: Buffer, runs: readonly Buffer[]): number {
  let [count, end] = [0, 0];
  for (const run of runs) {
    const behind = bytes.indexOf(run, end);
    const at = behind < 0 ? bytes.indexOf(run) : behind;
    if (at < 0) continue;
    count++;
    end = at;
  }
  return count;
}

/** Bytes before the first frame that a client sends, and of each frame before its payload. */
const [prefaceBytes, frameHeaderBytes] = [24, 9];

/** Payloads of the DATA frames, which nobody here pads, of what a client sent on a connection. */
function toData(sent: Buffer): Buffer[] {
  const payloads: Buffer[] = [];
  for (let at = prefaceBytes; at + frameHeaderBytes <= sent.byteLength; ) {
    const end = at + frameHeaderBytes + sent.readUIntBE(at, 3);
    if (sent[at + 3] === 0) payloads.push(sent.subarray(at + frameHeaderBytes, end));
    at = end;
  }
  return payloads;
}
