import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { isMainModule, repositoryRoot } from "../bench/repository-root.js";

/** What the package is imported by, relative to the build and, in the package, to its `dist`. */
const entry = "clients/typescript/src/index";

/** What stands in the package's `dist`, and what that imports. */
export interface BuiltClient {
  /** Relative paths, in the order of finding. */
  readonly files: readonly string[];
  /** Packages that are imported on loading. */
  readonly imported: readonly string[];
  /** Packages that are imported when they are needed. */
  readonly importedLater: readonly string[];
}

/**
 * Puts the package of the TypeScript client together: of the repository's build what the client's face imports, itself or
 * through others, with the modules of its worker threads and the WebAssembly that these load, and the types of its face. The
 * sources stand in `src/` once, and nothing of the server comes along.
 *
 * @param target The package's `dist`, made anew.
 */
export async function buildClient(target: string): Promise<BuiltClient> {
  const build = join(repositoryRoot, "dist");
  const imported = new Set<string>();
  const importedLater = new Set<string>();
  await rm(target, { recursive: true, force: true });
  const files: string[] = [];
  const write = async (path: string, content: string | Uint8Array): Promise<void> => {
    const file = relative(build, path);
    files.push(file);
    await mkdir(dirname(join(target, file)), { recursive: true });
    await writeFile(join(target, file), content);
  };
  for (const ending of [".js", ".d.ts"]) {
    const waiting = [join(build, `${entry}${ending}`)];
    const seen = new Set(waiting);
    const add = (path: string): void => {
      if (!seen.has(path)) waiting.push(path);
      seen.add(path);
    };
    for (const path of waiting) {
      if (path.endsWith(".wasm")) {
        await write(path, await readFile(path));
        continue;
      }
      const text = await readFile(path, "utf8");
      for (const { specifier, isLater } of findImports(text)) {
        if (!specifier.startsWith(".")) {
          if (!specifier.startsWith("node:")) (isLater ? importedLater : imported).add(toPackage(specifier));
          continue;
        }
        add(resolve(dirname(path), specifier.replace(/\.js$/, ending)));
      }
      for (const place of findLoaded(text)) add(resolve(dirname(path), place));
      await write(path, text.replace(/^\/\/# sourceMappingURL=.*\n?/m, ""));
    }
  }
  return { files, imported: [...imported].sort(), importedLater: [...importedLater].sort() };
}

/** All imports and re-exports of a module that `tsc` wrote. */
export function findImports(text: string): { readonly specifier: string; readonly isLater: boolean }[] {
  const found = text.matchAll(/^(?:import|export)\s(?:[^;"']*?\sfrom\s)?"([^"]+)"|\bimport\("([^"]+)"\)/gm);
  return Array.from(found, ([, now, later]) => ({ specifier: now ?? later ?? "", isLater: now === undefined }));
}

/** Modules and WebAssembly that a module names by their place beside it, for a thread to load or to be read. */
export function findLoaded(text: string): string[] {
  return Array.from(
    text.matchAll(/\bnew URL\("(\.[^"]+\.(?:js|wasm))", import\.meta\.url\)/g),
    ([, place = ""]) => place,
  );
}

function toPackage(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** Copies what a package has beside its `dist`. */
export async function copyClientPackage(target: string): Promise<BuiltClient> {
  const source = join(repositoryRoot, "clients/typescript");
  for (const name of ["package.json", "README.md", "LICENSE"]) await cp(join(source, name), join(target, name));
  return buildClient(join(target, "dist"));
}

if (isMainModule(import.meta.url)) {
  const { files } = await buildClient(join(repositoryRoot, "clients/typescript/dist"));
  console.log(`${files.length} files in clients/typescript/dist`);
}
