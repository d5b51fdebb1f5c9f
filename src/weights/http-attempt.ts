import type { RangeAnswer } from "./http-file.js";
import { discardBody } from "./http-request.js";
import { TransientFailure } from "./http-retry.js";

/** One request and the reading of its answer, given up when the caller stops or nothing comes for too long. */
export class HttpAttempt {
  readonly #controller = new AbortController();
  readonly #idleMs: number;
  readonly #outer: AbortSignal | undefined;
  readonly #stop = (): void => this.#controller.abort(this.#outer?.reason);

  constructor(idleMs: number, outer: AbortSignal | undefined) {
    outer?.throwIfAborted();
    this.#idleMs = idleMs;
    this.#outer = outer;
    // By hand, for signals made by AbortSignal.any stay with a long-lived outer signal on Node 20.
    outer?.addEventListener("abort", this.#stop, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Waits for something of the network; silence and broken connections become a {@link TransientFailure}. */
  async watch<T>(pending: Promise<T>): Promise<T> {
    const idle = new TransientFailure(`nothing came for ${this.#idleMs} ms`);
    const timer = setTimeout(() => this.#controller.abort(idle), this.#idleMs);
    try {
      return await pending;
    } catch (error) {
      this.#outer?.throwIfAborted();
      throw this.signal.aborted ? idle : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The body of an answer as it comes, cut at the end of the range. */
  async *pieces({ response, begin, end }: Omit<RangeAnswer, "state">): AsyncGenerator<Uint8Array, void, undefined> {
    if (response.body === null || end === begin) return discardBody(response);
    const reader = response.body.getReader();
    let left = end - begin;
    try {
      while (left > 0) {
        const { done, value } = await this.watch(reader.read().catch(toBreak));
        if (done) break;
        const piece: Uint8Array = value.subarray(0, left);
        left -= piece.length;
        yield piece;
      }
    } finally {
      await reader.cancel().catch(() => {});
    }
    if (left > 0 && Number.isFinite(left)) throw new TransientFailure("the connection broke off");
  }

  end(): void {
    this.#outer?.removeEventListener("abort", this.#stop);
  }
}

function toBreak(cause: unknown): never {
  throw new TransientFailure("the connection broke off", { cause });
}
