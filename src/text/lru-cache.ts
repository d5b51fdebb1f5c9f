/** Values by key, the ones used last; older ones give way when their bytes grow beyond a bound. */
export interface LruCache<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V, bytes: number): void;
  delete(key: K): void;
  clear(): void;
  readonly bytes: number;
}

/**
 * Creates an empty cache.
 *
 * @param onDrop hears of values that gave way or were replaced.
 */
export function createLruCache<K, V>(maxBytes: number, onDrop: (value: V) => void = () => {}): LruCache<K, V> {
  // A Map keeps the order in which keys were set: the first is the one not used for longest.
  const entries = new Map<K, { readonly value: V; readonly bytes: number }>();
  let total = 0;
  const remove = (key: K): void => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    total -= entry.bytes;
    onDrop(entry.value);
  };
  return {
    get: (key) => {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set: (key, value, bytes) => {
      remove(key);
      entries.set(key, { value, bytes });
      total += bytes;
      for (const oldest of entries.keys()) {
        if (total <= maxBytes || entries.size === 1) break;
        remove(oldest);
      }
    },
    delete: remove,
    clear: () => {
      for (const key of [...entries.keys()]) remove(key);
    },
    get bytes() {
      return total;
    },
  };
}
