/** At most so many of some things, evenly spread over them. */
export function takeEvenly<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, place) => all[Math.floor((place * all.length) / most)] as T);
}
