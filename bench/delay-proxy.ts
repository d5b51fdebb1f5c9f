import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { isMainModule } from "./repository-root.js";

/** How a delay proxy is set up. */
export interface DelayProxyOptions {
  /** `HOST:PORT` to pass connections on to. */
  readonly target: string;
  /** Round trip to add, in milliseconds: half of it in each direction. */
  readonly rttMs: number;
  /** Port to listen on; 0 takes any. Default 0. */
  readonly port?: number;
  /** Bytes that one direction of one connection may hold back before its sender is paused. Default 64 MiB. */
  readonly maxHeldBytes?: number;
  /** Rate of the link in each direction, in bits per second, which all connections share. Default unlimited. */
  readonly bitsPerSecond?: number;
}

/** A running proxy. */
export interface DelayProxy {
  /** `127.0.0.1:PORT`. */
  readonly target: string;
  /** Bytes that were passed on to the target so far, and from it. */
  readonly passed: { readonly up: number; readonly down: number };
  /** Stops listening and cuts all connections. */
  stop(): Promise<void>;
}

/** One direction of the link. */
interface Direction {
  /** When all bytes that came so far have gone over it, as `performance.now` counts. */
  freeAtMs: number;
  passedBytes: number;
}

/**
 * Starts a TCP proxy on 127.0.0.1 that delivers every byte half a round trip after it came, in order. The rate is not
 * limited otherwise unless that is asked for: then bytes queue before they travel, at 64 MiB per 12.5 ms if not, which is
 * wider than a loopback connection.
 */
export async function startDelayProxy(options: DelayProxyOptions): Promise<DelayProxy> {
  const { host, port } = parseTarget(options.target);
  const { rttMs, maxHeldBytes = 64 * 1024 ** 2, bitsPerSecond = Number.POSITIVE_INFINITY } = options;
  const relay = { delayMs: rttMs / 2, maxHeldBytes, bytesPerMs: bitsPerSecond / 8000 };
  const [up, down] = [newDirection(), newDirection()];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ host, port, allowHalfOpen: true, noDelay: true });
    for (const [socket, peer, direction] of [
      [near, far, up],
      [far, near, down],
    ] as const) {
      sockets.add(socket);
      // A reset on one side cuts the other: there is nobody left to deliver to. 'close' follows every error.
      socket.on("error", () => peer.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        if (!socket.readableEnded) peer.destroy();
      });
      relayDelayed(socket, peer, relay, direction);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  return {
    target: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get passed() {
      return { up: up.passedBytes, down: down.passedBytes };
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function newDirection(): Direction {
  return { freeAtMs: 0, passedBytes: 0 };
}

/** How bytes are passed on. */
interface Relay {
  readonly delayMs: number;
  readonly maxHeldBytes: number;
  readonly bytesPerMs: number;
}

/** Passes bytes and the end of the stream from one socket to another, each `delayMs` after it came and its turn was there. */
function relayDelayed(from: Socket, to: Socket, relay: Relay, direction: Direction): void {
  const held: { readonly data: Buffer | "end"; readonly dueMs: number }[] = [];
  let heldBytes = 0;
  let delivering = false;

  const deliver = async (): Promise<void> => {
    delivering = true;
    for (let next = held[0]; next !== undefined && !to.destroyed; next = held[0]) {
      const waitMs = next.dueMs - performance.now();
      // A timer may fire up to a millisecond early, so the loop looks again.
      if (waitMs > 0) await sleep(Math.ceil(waitMs));
      else {
        held.shift();
        if (next.data === "end") to.end();
        else {
          direction.passedBytes += next.data.length;
          if (!to.write(next.data)) await drained(to);
          heldBytes -= next.data.length;
          if (heldBytes <= relay.maxHeldBytes / 2 && from.isPaused()) from.resume();
        }
      }
    }
    delivering = false;
  };
  const hold = (data: Buffer | "end"): void => {
    const now = performance.now();
    direction.freeAtMs = Math.max(now, direction.freeAtMs) + (data === "end" ? 0 : data.length / relay.bytesPerMs);
    held.push({ data, dueMs: direction.freeAtMs + relay.delayMs });
    if (!delivering) void deliver();
  };

  from.on("data", (data: Buffer) => {
    heldBytes += data.length;
    if (heldBytes > relay.maxHeldBytes) from.pause();
    hold(data);
  });
  from.on("end", () => hold("end"));
}

/** Resolves when a socket takes bytes again, or never will. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
    if (socket.destroyed) done();
  });
}

function parseTarget(target: string): { host: string; port: number } {
  const at = target.lastIndexOf(":");
  const port = Number(target.slice(at + 1));
  if (at < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) throw new Error(`${target} is not HOST:PORT`);
  return { host: target.slice(0, at), port };
}

/** `node delay-proxy.js --target HOST:PORT --rtt MS [--mbit RATE] [--port N]`: runs until it is killed. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      target: { type: "string" },
      rtt: { type: "string", default: "25" },
      port: { type: "string", default: "0" },
      mbit: { type: "string" },
    },
  });
  if (values.target === undefined) throw new Error("--target HOST:PORT is missing");
  const proxy = await startDelayProxy({
    target: values.target,
    rttMs: Number(values.rtt),
    port: Number(values.port),
    ...(values.mbit !== undefined && { bitsPerSecond: Number(values.mbit) * 1e6 }),
  });
  console.log(`listening on ${proxy.target} (${values.rtt} ms to ${values.target} and back)`);
}

if (isMainModule(import.meta.url)) await main();
