import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { copyClientPackage, findImports, findLoaded } from "../../scripts/build-client.js";
import { version } from "../../src/rpc/version.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

test("imports are found, also those that are made when they are needed", (t) => {
  const text = [
    'import { a,\n  b } from "./one.js";',
    'import "./two.js";',
    'export * from "three";',
    'export { c } from "./four.js";',
    'const d = await import("five");',
    'const text = "no import";',
  ].join("\n");
  t.deepEqual(
    findImports(text).map(({ specifier, isLater }) => `${specifier}${isLater ? " later" : ""}`),
    ["./one.js", "./two.js", "three", "./four.js", "five later"],
  );
});

test("what a module loads by its place beside it is found: modules of threads, and WebAssembly", (t) => {
  const text = [
    'const workerModule = new URL("./embed-worker.js", import.meta.url);',
    'const bytes = await readFile(new URL("../kernel/plain-own.wasm", import.meta.url));',
    'const version = readFileSync(new URL("../../package.json", import.meta.url), "utf8");',
    'const model = new URL("./model.js", index);',
  ].join("\n");
  t.deepEqual(findLoaded(text), ["./embed-worker.js", "../kernel/plain-own.wasm"]);
});

test("the client's package holds what its face imports, and imports no other packages than it names", async (t) => {
  const folder = await createTemporaryFolder(t);
  const { files, imported, importedLater } = await copyClientPackage(folder);
  const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  t.deepEqual(imported, ["@bufbuild/protobuf", "@grpc/grpc-js"]);
  t.deepEqual(Object.keys(manifest.dependencies), imported);
  t.deepEqual(importedLater, ["yauzl"]);
  t.deepEqual(Object.keys(manifest.peerDependenciesMeta), importedLater);
  const root = JSON.parse(await readFile(join(repositoryRoot, "package.json"), "utf8"));
  t.is(manifest.version, version);
  t.is(manifest.engines.node, root.engines.node);
  for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    t.is(range, root.dependencies[name], name);
  }

  const words = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const { stdout } = await promisify(execFile)("npm", words, { cwd: folder });
  const [packed]: [{ readonly files: readonly { readonly path: string }[] }] = JSON.parse(stdout);
  t.deepEqual(
    packed.files.map(({ path }) => path).sort(),
    ["LICENSE", "README.md", "package.json", ...files.map((file) => `dist/${file}`)].sort(),
  );
  const strange = files.filter(
    (file) => /src\/(cli|text|training|onnx|compute\/(gpu|backends))\//.test(file) || /server\.js$/.test(file),
  );
  const kernel = strange.filter((file) => /src\/compute\/backends\/wasm(\/|\.js$)/.test(file));
  t.deepEqual(strange, kernel, "nothing of the server, and of the backends the one that needs no package");
  for (const file of ["src/search/embed-worker.js", "src/compute/backends/wasm/kernel/plain-own.wasm"]) {
    t.true(files.includes(file), file);
  }
});
