import type { BackendUse } from "./compute-backend.js";

/** Counts the rows that a backend adds to a sum. */
export interface UseCounter {
  add(rows: number): void;
  uses(): readonly BackendUse[];
}

/** Starts at no rows. */
export function createUseCounter({ name, device }: { readonly name: string; readonly device: string }): UseCounter {
  let rows = 0;
  return {
    add: (count) => {
      rows += count;
    },
    uses: () => (rows === 0 ? [] : [{ name, device, rows }]),
  };
}
