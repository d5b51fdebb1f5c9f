import { setTimeout as delay } from "node:timers/promises";

/** Waits until something holds; fails after some seconds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, limitMs = 8000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`still not so after ${limitMs} ms: ${what}`);
    await delay(2);
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
