/** Bytes that an entry takes beside its value and its key. */
const entryBytes = 200;

/** Values by text until they are forgotten; the oldest give way to new ones. */
export interface Remembered<Value> {
  get(key: string): Value | undefined;
  /**
   * Remembers a value, unless it is larger than all that may be remembered.
   *
   * @param bytes of the value; those of its key and of the entry are added.
   */
  set(key: string, value: Value, bytes: number): void;
  clear(): void;
  /** Bytes of all. */
  readonly bytes: number;
}

/** Remembers nothing yet, and never more than so many bytes and entries. */
export function createRemembered<Value>(mostBytes: number, mostEntries: number): Remembered<Value> {
  const entries = new Map<string, { readonly value: Value; readonly bytes: number }>();
  let total = 0;
  const forget = (key: string): void => {
    total -= entries.get(key)?.bytes ?? 0;
    entries.delete(key);
  };
  return {
    get: (key) => entries.get(key)?.value,
    set: (key, value, valueBytes) => {
      forget(key);
      // A text may take two bytes per unit.
      const bytes = valueBytes + 2 * key.length + entryBytes;
      if (bytes > mostBytes) return;
      for (const oldest of entries.keys()) {
        if (total + bytes <= mostBytes && entries.size < mostEntries) break;
        forget(oldest);
      }
      entries.set(key, { value, bytes });
      total += bytes;
    },
    clear: () => {
      entries.clear();
      total = 0;
    },
    get bytes() {
      return total;
    },
  };
}
