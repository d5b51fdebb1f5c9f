import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder: the nearest one above this file that has a `package.json`. */
export const repositoryRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Path of the command line's entry point beside this build. */
export const mainScript: string = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));

/** Whether a module, by its `import.meta.url`, is the program that Node was started with. */
export function isMainModule(url: string): boolean {
  const script = process.argv[1];
  return script !== undefined && realpathSync(script) === fileURLToPath(url);
}

function findRoot(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error("no package.json above the benches");
  return findRoot(parent);
}
