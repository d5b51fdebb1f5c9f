import type { Child } from "../../bench/child-process.js";

/** What a child says first, once it is ready. */
export async function firstLine(child: Child): Promise<string> {
  for await (const line of child.lines) return line;
  throw new Error(`the child said nothing: ${child.errorText()}`);
}
