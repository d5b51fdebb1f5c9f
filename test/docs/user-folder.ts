import { execFile } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { repositoryRoot } from "../../bench/repository-root.js";
import { createTemporaryFolder, type Teardown } from "../helpers/temporary-folder.js";

const run = promisify(execFile);

/** A folder like a user's: a package of modules that has this build installed. Removed after the test. */
export async function createUserFolder(t: Teardown): Promise<string> {
  const folder = await createTemporaryFolder(t);
  await mkdir(join(folder, "node_modules"));
  await symlink(repositoryRoot, join(folder, "node_modules", "probestream"), "dir");
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  return folder;
}

/** Runs a program with Node in a user's folder, and gives what it printed. Throws if it fails or does not end. */
export async function runSnippet(folder: string, text: string): Promise<string> {
  await writeFile(join(folder, "snippet.js"), text);
  return (await run(process.execPath, ["snippet.js"], { cwd: folder, timeout: 60_000 })).stdout;
}
