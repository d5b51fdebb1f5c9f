import { execFile } from "node:child_process";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const buf = join(repositoryRoot, "node_modules/.bin/buf");

test("a changed number in the contract is caught by the image of the last release, an added field is not", async (t) => {
  const images = (await readdir(join(repositoryRoot, "proto"))).filter((name) => name.endsWith(".binpb"));
  t.is(images.length, 1, "the contract of the last release, and no other");
  const [image = ""] = images;
  const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(
    await readFile(join(repositoryRoot, "package.json"), "utf8"),
  );
  t.is(scripts["check:breaking"], `buf breaking --against proto/${image}`);

  const folder = await createTemporaryFolder(t);
  for (const name of ["proto", "buf.yaml"]) {
    await cp(join(repositoryRoot, name), join(folder, name), { recursive: true });
  }
  const path = join(folder, "proto/probestream/v1/embedding_service.proto");
  const contract = await readFile(path, "utf8");
  const check = async (changed: string): Promise<string> => {
    t.not(changed, contract);
    await writeFile(path, changed);
    const words = ["breaking", "--against", join("proto", image)];
    return promisify(execFile)(buf, words, { cwd: folder }).then(
      () => "",
      (error: { readonly stdout: string }) => error.stdout,
    );
  };
  t.is(await check(contract.replace("bytes digest = 2;", "bytes digest = 2;\n  string added = 99;")), "");
  t.regex(await check(contract.replace("bytes digest = 2;", "bytes digest = 98;")), /field "2".*"digest"/);
});
