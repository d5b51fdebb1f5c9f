/** Folders that all paths begin with, with the last slash; empty where there are none. */
export function toCommonFolder(paths: readonly string[]): string {
  const [first = ""] = paths;
  let end = first.lastIndexOf("/") + 1;
  for (const path of paths) {
    // A search from before the start would find a slash at the start again.
    while (end > 0 && !path.startsWith(first.slice(0, end))) end = end < 2 ? 0 : first.lastIndexOf("/", end - 2) + 1;
  }
  return first.slice(0, end);
}
