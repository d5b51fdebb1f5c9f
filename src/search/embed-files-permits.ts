/** A number of permits, handed out in the order in which they are asked for. */
export interface Permits {
  /** Waits for `count` permits, at most all there are; the function gives them back. Throws the signal's reason. */
  acquire(count: number): Promise<() => void>;
}

/** Creates permits; once `signal` is aborted, nobody gets one any more. */
export function createPermits(total: number, signal: AbortSignal): Permits {
  const waiting: { readonly count: number; readonly grant: () => void; readonly refuse: () => void }[] = [];
  let free = total;
  const serve = (): void => {
    for (let next = waiting[0]; next !== undefined && next.count <= free; next = waiting[0]) {
      waiting.shift();
      free -= next.count;
      next.grant();
    }
  };
  signal.addEventListener("abort", () => {
    for (const { refuse } of waiting.splice(0)) refuse();
  });
  return {
    acquire: async (wanted) => {
      signal.throwIfAborted();
      const count = Math.min(wanted, total);
      await new Promise<void>((resolve, reject) => {
        waiting.push({ count, grant: resolve, refuse: () => reject(signal.reason) });
        serve();
      });
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        free += count;
        serve();
      };
    },
  };
}
