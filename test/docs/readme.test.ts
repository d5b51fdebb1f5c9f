import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import test from "ava";
import { makeExample } from "../../scripts/example.js";
import { findBlock, readFencedBlocks } from "./fenced-blocks.js";
import { createUserFolder, runSnippet } from "./user-folder.js";

for (const [way, part] of [
  ["through a server", "startServer"],
  ["in its own process", "startEmbedder"],
] as const) {
  test.serial(`the program of the README that embeds ${way} prints the label planted in each model`, async (t) => {
    const folder = await createUserFolder(t);
    await makeExample(join(folder, "example"));
    const printed = await runSnippet(folder, findBlock(await readFencedBlocks("README.md"), "js", part));
    const lines = printed.trim().split("\n");
    for (const line of lines) {
      const [, file = "", label, cosine] = /^(.+): (\w+) (\d\.\d{3})$/.exec(line) ?? [];
      t.is(label, basename(file).split("-")[0], line);
      t.true(Number(cosine) > 0.9, line);
    }
    t.is(lines.length, (await readdir(join(folder, "example", "models"))).length);
  });
}
