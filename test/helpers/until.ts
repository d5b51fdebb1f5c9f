import { setTimeout as delay } from "node:timers/promises";

/** Waits until something holds; fails after some seconds. Asks ever less often, for some questions take a core to answer. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, limitMs = 8000): Promise<void> {
  const begun = performance.now();
  while (!(await holds())) {
    const waited = performance.now() - begun;
    if (waited > limitMs) throw new Error(`still not so after ${limitMs} ms: ${what}`);
    await delay(Math.min(100, 2 + waited / 10));
  }
}

/** Waits for work that a fault would let hang, and fails after some seconds. */
export async function inTime<T>(work: Promise<T>, what: string, limitMs = 8000): Promise<T> {
  const stop = new AbortController();
  const late = delay(limitMs, undefined, { signal: stop.signal }).then((): never => {
    throw new Error(`still waiting after ${limitMs} ms: ${what}`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}
