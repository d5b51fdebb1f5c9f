/** Values from some places to others, in order. Several may take from it; each value goes to one of them. */
export interface Queue<T> extends AsyncIterable<T> {
  push(value: T): void;
  /** No more values will come. */
  end(): void;
  /** Takers get the values that are there, then this error. */
  fail(error: unknown): void;
}

/** Creates a queue. Nothing bounds it: whoever pushes counts what is under way. */
export function createQueue<T>(): Queue<T> {
  const values: T[] = [];
  const takers: (() => void)[] = [];
  let ended: { readonly error?: unknown } | undefined;
  const wake = (): void => {
    for (const taker of takers.splice(0)) taker();
  };
  const take = async (): Promise<IteratorResult<T, undefined>> => {
    for (;;) {
      if (values.length > 0) return { done: false, value: values.shift() as T };
      if (ended !== undefined) {
        if ("error" in ended) throw ended.error;
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => takers.push(resolve));
    }
  };
  return {
    push: (value) => {
      values.push(value);
      wake();
    },
    end: () => {
      ended ??= {};
      wake();
    },
    fail: (error) => {
      ended ??= { error };
      wake();
    },
    [Symbol.asyncIterator]: () => ({ next: take }),
  };
}
