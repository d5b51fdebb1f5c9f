import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../system/replace-file.js";
import { manifestName } from "./expert.js";

/**
 * Writes files into an expert folder, and then what names them into its `expert.json`; each appears whole.
 *
 * @param files content by name.
 * @param change from what `expert.json` says to what it is to say.
 */
export async function updateManifest(
  folder: string,
  files: Readonly<Record<string, Uint8Array>>,
  change: (manifest: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>,
): Promise<void> {
  const path = join(folder, manifestName);
  const manifest = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  const text = `${JSON.stringify(change(manifest), undefined, 2)}\n`;
  for (const [name, bytes] of Object.entries(files)) await replaceFile(join(folder, name), bytes);
  await replaceFile(path, text);
}
