import { ProbestreamError } from "../errors/probestream-error.js";

/** Writes items in groups. */
export interface GroupCommit<T> {
  /** Settles when the item is written, with those that came while the last group was. */
  write(item: T): Promise<void>;
}

interface Waiting<T> {
  readonly item: T;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Most items in one group. */
const maxGroup = 500;

/**
 * Creates a group commit. A group that is refused because of one of its items (InvalidInputError) is written again item by
 * item, so that each hears of its own error; any other error is that of all.
 *
 * @param commit writes items, all or none.
 */
export function createGroupCommit<T>(commit: (items: readonly T[]) => Promise<void>): GroupCommit<T> {
  let waiting: Waiting<T>[] = [];
  let isRunning = false;

  const commitGroup = async (group: readonly Waiting<T>[]): Promise<void> => {
    try {
      await commit(group.map(({ item }) => item));
      for (const { resolve } of group) resolve();
    } catch (error) {
      const concernsOne = error instanceof ProbestreamError && error.kind === "invalid-input" && group.length > 1;
      if (concernsOne) for (const one of group) await commitGroup([one]);
      else for (const { reject } of group) reject(error);
    }
  };

  const run = async (): Promise<void> => {
    isRunning = true;
    // Others of this turn join the first group.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      const group = waiting.slice(0, maxGroup);
      waiting = waiting.slice(maxGroup);
      await commitGroup(group);
    }
    isRunning = false;
  };

  return {
    write: (item) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        if (!isRunning) void run();
      }),
  };
}
