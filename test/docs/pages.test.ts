import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import test from "ava";
import { repositoryRoot } from "../../bench/repository-root.js";

/** Folders whose pages are looked at, those within them included. */
const folders = ["docs", "bench", "clients", "demo"];

/** Pages of Markdown, with what they say outside of fenced blocks. */
async function readPages(): Promise<ReadonlyMap<string, string>> {
  const within = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(join(repositoryRoot, folder), { recursive: true });
      return names.map((name) => join(folder, name));
    }),
  );
  const all = [...(await readdir(repositoryRoot)), ...within.flat()];
  const pages = all.filter((path) => path.endsWith(".md") && !path.includes("node_modules"));
  const read = async (path: string): Promise<[string, string]> => {
    const text = await readFile(join(repositoryRoot, path), "utf8");
    return [path, text.replace(/^```[^\n]*\n[\s\S]*?^```$/gm, "")];
  };
  return new Map(await Promise.all(pages.map(read)));
}

/** The anchors of a page's headings, as GitHub makes them. */
function toAnchors(text: string): ReadonlySet<string> {
  const headings = text.matchAll(/^#+ (.*)$/gm);
  return new Set(
    Array.from(headings, ([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

test("every link of the documents leads to a file and a heading that are there", async (t) => {
  const pages = await readPages();
  t.true(pages.size > 20);
  for (const [page, text] of pages) {
    for (const [, link = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : relative(repositoryRoot, join(repositoryRoot, dirname(page), path));
      t.true(existsSync(join(repositoryRoot, target)), `${page}: ${link}`);
      if (anchor !== undefined) t.true(toAnchors(pages.get(target) ?? "").has(anchor), `${page}: ${link}`);
    }
  }
});

test("every row of the documents is part of a table that has a head", async (t) => {
  for (const [page, text] of await readPages()) {
    const lines = text.split("\n");
    for (const [at, line] of lines.entries()) {
      if (!line.startsWith("|") || lines[at - 1]?.startsWith("|") === true) continue;
      t.regex(lines[at + 1] ?? "", /^\|[ :|-]+\|$/, `${page}: ${line}`);
    }
  }
});

test("every bench stands in the list of benches, and every file of theirs in that of files", async (t) => {
  const readme = await readFile(join(repositoryRoot, "bench/README.md"), "utf8");
  const text = await readFile(join(repositoryRoot, "bench/bench.ts"), "utf8");
  const [, list = ""] = /^const benches = \{\n([\s\S]*?)^\}/m.exec(text) ?? [];
  const names = Array.from(list.matchAll(/^ {2}"?([a-zA-Z-]+)"?[:,]/gm), ([, name = ""]) => name);
  t.true(names.length > 20);
  for (const name of names) t.true(readme.includes(`\n| \`${name}\` | `), name);
  for (const file of await readdir(join(repositoryRoot, "bench"))) {
    if (file.endsWith(".ts")) t.true(readme.includes(`\`${file}\``), file);
  }
});
