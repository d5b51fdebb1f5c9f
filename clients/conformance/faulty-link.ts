import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Something that listens on 127.0.0.1 and can be stopped. */
export interface FaultyLink {
  /** `127.0.0.1:PORT`. */
  readonly target: string;
  stop(): Promise<void>;
}

/** How long the other side has to save what it got before a connection is cut, in milliseconds. */
const pauseBeforeCutMs = 500;

/** Passes connections on, and cuts the first that brings so many bytes to the server; later ones are left alone. */
export function startCutLink(target: string, cutAfterBytes: number): Promise<FaultyLink> {
  let isCut = false;
  return startRelay(target, (near, far) => {
    let passed = 0;
    near.on("data", (data: Buffer) => {
      passed += data.length;
      if (!far.write(data)) {
        near.pause();
        far.once("drain", () => near.resume());
      }
      if (isCut || passed < cutAfterBytes) return;
      isCut = true;
      near.pause();
      near.removeAllListeners("data");
      far.removeAllListeners("drain");
      void sleep(pauseBeforeCutMs).then(() => {
        near.resetAndDestroy();
        far.resetAndDestroy();
      });
    });
  });
}

/** Passes connections on; to the server, so many bytes a second. */
export function startSlowLink(target: string, bytesPerSecond: number): Promise<FaultyLink> {
  return startRelay(target, (near, far) => {
    let freeAtMs = performance.now();
    near.on("data", (data: Buffer) => {
      far.write(data);
      freeAtMs = Math.max(freeAtMs, performance.now()) + (data.length / bytesPerSecond) * 1000;
      near.pause();
      void sleep(freeAtMs - performance.now()).then(() => near.resume());
    });
  });
}

/** Accepts connections and never says a word. */
export async function startSilentLink(): Promise<FaultyLink> {
  const sockets = new Set<Socket>();
  return listen(
    createServer((socket) => {
      keep(socket, sockets);
      socket.resume();
    }),
    sockets,
  );
}

/** A port where nobody listens (any more). */
export async function findDeadTarget(): Promise<string> {
  const { target, stop } = await startSilentLink();
  await stop();
  return target;
}

async function startRelay(target: string, relay: (near: Socket, far: Socket) => void): Promise<FaultyLink> {
  const sockets = new Set<Socket>();
  const [host = "", port = ""] = target.split(":");
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host, port: Number(port), noDelay: true });
    keep(near, sockets, far);
    keep(far, sockets, near);
    far.on("data", (data) => near.write(data));
    relay(near, far);
  });
  return listen(server, sockets);
}

function keep(socket: Socket, sockets: Set<Socket>, peer?: Socket): void {
  sockets.add(socket);
  socket.on("error", () => peer?.destroy());
  socket.on("close", () => {
    sockets.delete(socket);
    peer?.destroy();
  });
}

async function listen(server: Server, sockets: ReadonlySet<Socket>): Promise<FaultyLink> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    target: `127.0.0.1:${port}`,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
