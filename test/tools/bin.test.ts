import { execFile } from "node:child_process";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const run = promisify(execFile);
const script = join("bin", "probestream.js");

test("the command is there before the first build and says what is missing, and runs after it", async (t) => {
  const folder = await createTemporaryFolder(t);
  await mkdir(join(folder, "bin"));
  await cp(join(repositoryRoot, script), join(folder, script));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  const error = await t.throwsAsync<Error & { readonly code: number; readonly stderr: string }>(
    run(process.execPath, [join(folder, script), "--help"]),
  );
  t.is(error.code, 3);
  t.is(error.stderr, "probestream: it is not built yet; run `npm run build` in its folder\n");
  const { stdout } = await run(process.execPath, [join(repositoryRoot, script), "--help"]);
  t.regex(stdout, /^Usage: probestream /);
});
