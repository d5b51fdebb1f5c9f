import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { repositoryRoot } from "../../bench/repository-root.js";

/** A fenced block of a Markdown file. */
export interface FencedBlock {
  /** What stands behind the fence: `json`, `js`, `python`. */
  readonly language: string;
  readonly text: string;
}

/** All fenced blocks of a Markdown file of this repository, in order. */
export async function readFencedBlocks(path: string): Promise<readonly FencedBlock[]> {
  const markdown = await readFile(join(repositoryRoot, path), "utf8");
  const blocks = markdown.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm);
  return Array.from(blocks, ([, language = "", text = ""]) => ({ language, text }));
}

/** The one block of a language that holds a text. */
export function findBlock(blocks: readonly FencedBlock[], language: string, part: string): string {
  const [block, second] = blocks.filter((each) => each.language === language && each.text.includes(part));
  if (block === undefined || second !== undefined) {
    throw new Error(`${block === undefined ? "no" : "more than one"} ${language} block has ${part}`);
  }
  return block.text;
}
