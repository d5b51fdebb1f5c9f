import { readFile } from "node:fs/promises";
import test from "ava";

const room = new URL("../../../../src/compute/backends/wasm/", import.meta.url);
const shared = ["kernel-backend.js", "crew.js", "kernel.js", "regions.js"];

/** Modules that the given one imports, itself and those of its imports included, and the packages among them. */
async function importsOf(module: URL, modules: Set<string>, packages: Set<string>): Promise<void> {
  if (modules.has(module.href)) return;
  modules.add(module.href);
  const text = await readFile(module, "utf8");
  for (const [, name = ""] of text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
    if (name.startsWith(".")) await importsOf(new URL(name, module), modules, packages);
    else packages.add(name);
  }
}

test("what a browser would share of the wasm backend imports neither Node nor packages", async (t) => {
  const modules = new Set<string>();
  const packages = new Set<string>();
  for (const file of shared) await importsOf(new URL(file, room), modules, packages);
  t.true(modules.size > shared.length);
  t.deepEqual([...packages], []);
});
