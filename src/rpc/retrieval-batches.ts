import { LimitExceededError, type ProbestreamError } from "../errors/probestream-error.js";

/** What bounds one call. */
export interface CallBounds {
  /** Items. */
  readonly count: number;
  /** Bytes of request. */
  readonly bytes: number;
  /** Of answer, in what {@link Sized.answer} counts. */
  readonly answer: number;
}

/** What an item takes. */
export interface Sized {
  readonly bytes: number;
  readonly answer: number;
}

/**
 * Bytes of items in one request, about: servers take messages of 4 MiB, and what is common to all items comes on top.
 */
export const requestBytes = 2 * 1024 * 1024;

/** Splits items so that each call keeps within its bounds; an item that is too large goes alone. */
export function* toCallBatches<T>(
  items: readonly T[],
  sizeOf: (item: T) => Sized,
  bounds: CallBounds,
): Generator<readonly T[]> {
  let batch: T[] = [];
  let [bytes, answer] = [0, 0];
  for (const item of items) {
    const size = sizeOf(item);
    const isFull =
      batch.length >= bounds.count || bytes + size.bytes > bounds.bytes || answer + size.answer > bounds.answer;
    if (batch.length > 0 && isFull) {
      yield batch;
      batch = [];
      [bytes, answer] = [0, 0];
    }
    batch.push(item);
    bytes += size.bytes;
    answer += size.answer;
  }
  // An empty list is the server's to refuse.
  if (batch.length > 0 || items.length === 0) yield batch;
}

/** Asks again for the halves where the answer would have been too long. */
export async function inHalves<T, R>(
  items: readonly T[],
  ask: (items: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  try {
    return await ask(items);
  } catch (error) {
    if (items.length < 2 || !isTooLong(error)) throw error;
    const middle = Math.ceil(items.length / 2);
    const first = await inHalves(items.slice(0, middle), ask);
    return [...first, ...(await inHalves(items.slice(middle), ask))];
  }
}

function isTooLong(error: unknown): error is ProbestreamError {
  return error instanceof LimitExceededError && error.facts["answerBytes"] !== undefined;
}
