import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy that keeps what clients send. */
export interface ByteTap {
  /** `127.0.0.1:PORT`. */
  readonly target: string;
  /** All that was sent to the server so far. */
  sent(): Buffer;
  close(): void;
}

/** Starts a tap before `HOST:PORT`. */
export async function startByteTap(target: string): Promise<ByteTap> {
  const [host = "", port = ""] = target.split(":");
  const parts: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ host, port: Number(port) });
    near.on("data", (data: Buffer) => parts.push(data));
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
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
