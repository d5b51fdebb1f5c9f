/**
 * What is under way need not be waited for once the signal is aborted: it goes on, and how it ends concerns nobody then.
 *
 * @throws the signal's reason; what `work` throws before that.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    // Also where the signal is aborted already: a rejection that nobody hears of ends the process.
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
