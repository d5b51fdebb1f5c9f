import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { isMainModule, repositoryRoot } from "../bench/repository-root.js";
import { toApiPage } from "./api-docs/to-api-page.js";

/** Longest image that is taken from buf: with comments it has some 100 KiB. */
const maxImageBytes = 16 * 1024 * 1024;

/** The contract as buf sees it, comments included: a FileDescriptorSet. */
export async function readContract(): Promise<Uint8Array> {
  const buf = join(repositoryRoot, "node_modules/.bin/buf");
  const { stdout } = await promisify(execFile)(buf, ["build", "-o", "-#format=binpb"], {
    cwd: repositoryRoot,
    encoding: "buffer",
    maxBuffer: maxImageBytes,
  });
  return stdout;
}

/** `node write-api-docs.js [FILE]`: writes the reference of the API, to docs/api.md if nothing else is said. */
if (isMainModule(import.meta.url)) {
  const path = resolve(process.argv[2] ?? join(repositoryRoot, "docs/api.md"));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, toApiPage(await readContract(), "probestream.v1"));
}
