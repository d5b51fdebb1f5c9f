import { collectGarbage, collectYoungGarbage } from "../search/collect-garbage.js";

/** Has garbage collected as messages come in. One for all streams of a thread, whose heap they share. */
export interface GarbageCounter {
  /** Counts the bytes of a message that was taken in. */
  add(bytes: number): void;
}

/** What collects; another one for tests. */
export interface Collector {
  young(): void;
  all(): void;
  /** Milliseconds of a clock that does not go back. */
  now(): number;
}

const v8Collector: Collector = { young: collectYoungGarbage, all: collectGarbage, now: () => performance.now() };

/**
 * Bytes of messages after which young garbage is collected: what sockets brought, and messages that are too small for
 * `releaseMessage`. V8 by itself waits for 64 MiB of it, and then looks through the whole heap; buffers that come back
 * sooner are still in the cache. Measured with 8 GiB of one stream of 65,536 columns: 35 instead of 68 MiB above idle.
 */
const youngEveryBytes = 8 * 1024 * 1024;

/**
 * Bytes after which all garbage is collected. What two young collections find in use counts as old; V8 by itself looks for
 * old garbage when the heap has three times its size, first after 7 to 9 GiB. Measured with 16 GiB of one stream of 65,536
 * columns: 43 MiB above idle, every 1 GiB 50, without it 68. It takes 16 to 28 ms, which the latency of health checks does not
 * show.
 */
const allEveryBytes = 512 * 1024 * 1024;

/** A collection that stopped the event loop for longer, in milliseconds, is not made again so soon: the heap is large. */
const longPauseMs = 50;

/** Creates a counter. Each collection of all garbage that takes long doubles the bytes that pass before the next. */
export function createGarbageCounter(collector: Collector = v8Collector): GarbageCounter {
  let sinceYoung = 0;
  let sinceAll = 0;
  let betweenAll = allEveryBytes;
  return {
    add: (bytes) => {
      sinceYoung += bytes;
      sinceAll += bytes;
      if (sinceYoung < youngEveryBytes) return;
      sinceYoung = 0;
      if (sinceAll < betweenAll) return collector.young();
      sinceAll = 0;
      const started = collector.now();
      collector.all();
      if (collector.now() - started > longPauseMs) betweenAll *= 2;
    },
  };
}
