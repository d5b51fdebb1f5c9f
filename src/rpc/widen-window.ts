import type { ServerHttp2Session } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";

/** How far the receive window of a connection may grow. */
export interface WindowRange {
  /** What it is set to already. */
  readonly leastBytes: number;
  readonly mostBytes: number;
  /** Takes memory for a wider window; the function gives it back. Throws where there is none. */
  readonly reserve: (bytes: number) => () => void;
}

/** Rate that one connection shall reach, in bytes per millisecond: a gigabit per second. */
const wantedBytesPerMs = 125_000;

/**
 * Pings before the window is widened. A busy server answers its own pings late: the shortest of a few says what lies on
 * the line.
 */
const pingCount = 5;

/** Pause between two pings, in milliseconds. */
const pingPauseMs = 50;

/**
 * Widens the receive windows of a connection, its streams' and its own, to what its round trip asks for. Where the
 * round trip is short they stay as they are: a narrow window keeps the event loop's turns short, and less of an upload
 * under way. Never throws: a connection that ends meanwhile needs no window.
 */
export async function widenWindow(session: ServerHttp2Session, range: WindowRange): Promise<void> {
  const { leastBytes, mostBytes, reserve } = range;
  let shortestMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < pingCount; i++) {
    shortestMs = Math.min(shortestMs, await ping(session));
    await sleep(pingPauseMs, undefined, { ref: false });
  }
  const bytes = Math.min(mostBytes, Math.ceil(shortestMs * wantedBytesPerMs));
  if (session.closed || session.destroyed || !Number.isFinite(shortestMs) || bytes <= leastBytes) return;
  let release: () => void;
  try {
    release = reserve(bytes - leastBytes);
  } catch {
    // No room: the upload is slower, but goes on.
    return;
  }
  session.once("close", release);
  session.settings({ initialWindowSize: bytes });
  session.setLocalWindowSize(bytes);
}

/** Round trip of a ping in milliseconds; infinite where none came back. */
function ping(session: ServerHttp2Session): Promise<number> {
  return new Promise((resolve) => {
    if (session.closed || session.destroyed) return resolve(Number.POSITIVE_INFINITY);
    const isSent = session.ping((error, ms) => resolve(error === null ? ms : Number.POSITIVE_INFINITY));
    if (!isSent) resolve(Number.POSITIVE_INFINITY);
  });
}
