import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { createTemporaryFolder, type Teardown } from "./temporary-folder.js";

/** Where nobody can make one. */
export const unreadableFolderUnavailable =
  process.platform === "linux" ? undefined : "only Linux's longest path is known here";

const longName = "n".repeat(250);

/** Two of these are beyond the 4,096 bytes of a path that Linux takes. */
const halfDepth = 9;

/**
 * Puts a folder below `parent` that nobody can read, root included, because its path is too long; it and what is
 * above it go at the end of the test. Gives the name of the uppermost.
 */
export async function putUnreadableFolder(t: Teardown, parent: string): Promise<string> {
  const elsewhere = await createTemporaryFolder(t);
  const half = join(...Array<string>(halfDepth).fill(longName));
  await mkdir(join(elsewhere, half), { recursive: true });
  await mkdir(join(parent, half), { recursive: true });
  // Too long to be made in place; a folder that is moved takes what is in it along.
  const from = join(elsewhere, longName);
  const to = join(parent, half, longName);
  await rename(from, to);
  t.teardown(async () => {
    await rename(to, from);
    await rm(join(parent, longName), { recursive: true });
  });
  return longName;
}
