/** Collects values into batches. */
export interface Batcher<T> {
  add(value: T): void;
  /** Emits what is there. */
  end(): void;
}

/** Creates a batcher that emits a batch when it has `size` values, or `waitMs` after its first. */
export function createBatcher<T>(size: number, waitMs: number, emit: (batch: readonly T[]) => void): Batcher<T> {
  let batch: T[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const full = batch;
    batch = [];
    if (full.length > 0) emit(full);
  };
  return {
    add: (value) => {
      batch.push(value);
      if (batch.length === size) flush();
      else timer ??= setTimeout(flush, waitMs);
    },
    end: flush,
  };
}
