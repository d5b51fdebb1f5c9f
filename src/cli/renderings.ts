import { writeFile } from "node:fs/promises";
import { Option } from "commander";
import { usageError } from "./exit-codes.js";
import type { Terminal } from "./terminal.js";
import { assertWritable, notWritten } from "./written-file.js";

/** A file that is asked for. */
export interface Rendering<T> {
  readonly option: string;
  /** `-` is standard output. */
  readonly file: string;
  readonly render: (found: T) => string;
}

/** `--json`, `--dot` or `--svg`. */
export function createRenderingOption(kind: keyof RenderingFiles, what: string): Option {
  return new Option(`--${kind} <file>`, `write ${what}; - for standard output, instead of the table`);
}

/** Files that options name, by kind. */
export interface RenderingFiles {
  readonly json?: string;
  readonly dot?: string;
  readonly svg?: string;
}

/**
 * What is to be written, and whether it can be: known before anything is read.
 *
 * @throws CommandError where two go to standard output or a folder cannot be written to.
 */
export async function toRenderings<T>(
  files: RenderingFiles,
  renderers: Readonly<Record<keyof RenderingFiles, (found: T) => string>>,
): Promise<Rendering<T>[]> {
  const kinds = ["json", "dot", "svg"] as const;
  const renderings = kinds.flatMap((kind) => {
    const file = files[kind];
    return file === undefined ? [] : [{ option: `--${kind}`, file, render: renderers[kind] }];
  });
  if (renderings.filter(({ file }) => file === "-").length > 1) {
    throw usageError("only one of --json, --dot and --svg can go to standard output; name a file for the others");
  }
  for (const { option, file } of renderings) {
    if (file !== "-") await assertWritable(option, file);
  }
  return renderings;
}

/** Writes a rendering where it is to go. */
export async function writeRendering<T>(
  { option, file, render }: Rendering<T>,
  found: T,
  terminal: Terminal,
): Promise<void> {
  const text = render(found);
  if (file === "-") return terminal.print(text.trimEnd());
  try {
    await writeFile(file, text);
  } catch (cause) {
    throw notWritten(option, file, cause);
  }
}
