import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a test's `t` offers to clean up after it. */
export interface Teardown {
  teardown(work: () => void | Promise<void>): void;
}

/** A folder of its own for one test, removed after it. */
export async function createTemporaryFolder(t: Teardown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "probestream-test-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
