/** Tasks that were started and must all end. */
export interface TaskGroup {
  run(task: Promise<void>): void;
  /** Waits until none is left, those started meanwhile included. Throws what the first that failed threw, at once. */
  done(): Promise<void>;
  /** Waits until none is left, whatever failed. */
  ended(): Promise<void>;
}

/** Creates a group without tasks. */
export function createTaskGroup(): TaskGroup {
  let running = 0;
  let failure: { readonly error: unknown } | undefined;
  const waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const waiter of waiting.splice(0)) waiter();
  };
  const change = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  return {
    run: (task) => {
      running++;
      task
        .catch((error: unknown) => {
          failure ??= { error };
          wake();
        })
        .finally(() => {
          running--;
          if (running === 0) wake();
        });
    },
    done: async () => {
      while (running > 0 && failure === undefined) await change();
      if (failure !== undefined) throw failure.error;
    },
    ended: async () => {
      while (running > 0) await change();
    },
  };
}
