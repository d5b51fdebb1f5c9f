/** Something that is asked for over the network and may be a little old. */
export interface Remembered<T> {
  /** As of at most so long ago as {@link remember} says. */
  recent(): Promise<T>;
  /** As of now. */
  fresh(): Promise<T>;
}

/** Remembers what `load` gives for `freshForMs`; a failure is not remembered. Callers at a time share one `load`. */
export function remember<T>(load: () => Promise<T>, freshForMs: number): Remembered<T> {
  let last: { readonly at: number; readonly value: Promise<T> } | undefined;
  const fresh = (): Promise<T> => {
    const loading = { at: performance.now(), value: load() };
    last = loading;
    loading.value.catch(() => {
      if (last === loading) last = undefined;
    });
    return loading.value;
  };
  return {
    fresh,
    recent: () => (last !== undefined && performance.now() - last.at <= freshForMs ? last.value : fresh()),
  };
}
