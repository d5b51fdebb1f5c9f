import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";

test("the package has the build with its kernels, the contract, the license and what users read", async (t) => {
  const words = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const { stdout } = await promisify(execFile)("npm", words, { cwd: repositoryRoot });
  const [{ files }]: [{ readonly files: readonly { readonly path: string }[] }] = JSON.parse(stdout);
  const paths = new Set(files.map(({ path }) => path));
  const wanted = [
    "package.json",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "docs/formats.md",
    "dist/src/index.js",
    "dist/src/index.d.ts",
    "bin/probestream.js",
    "dist/src/cli/main.js",
    "dist/src/search/embed-worker.js",
    ...["plain-own", "plain-shared", "relaxed-own", "relaxed-shared"].map(
      (kernel) => `dist/src/compute/backends/wasm/kernel/${kernel}.wasm`,
    ),
    ...["embedding_service", "error_reason", "expert_service", "server_service", "types"].map(
      (name) => `proto/probestream/v1/${name}.proto`,
    ),
  ];
  t.deepEqual(
    wanted.filter((path) => !paths.has(path)),
    [],
  );
  t.deepEqual(
    [...paths].filter((path) => /^(test|bench|scripts|dist\/(test|bench|scripts)|example)\//.test(path)),
    [],
  );
});
