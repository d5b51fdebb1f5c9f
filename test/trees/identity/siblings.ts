import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readPackedTree, toModelFile } from "../../../scripts/demo-zoo/packed-tree.js";

/** Writes so many fine-tunes of one base, models of the demo, spread evenly over its tree. */
export async function writeSiblings(folder: string, tree: "dense" | "loras", count: number): Promise<string[]> {
  const packed = await readPackedTree(join("demo", `${tree}.safetensors`));
  const stride = packed.models.length / count;
  await mkdir(join(folder, tree), { recursive: true });
  return Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const path = join(folder, tree, `${String(at).padStart(3, "0")}.safetensors`);
      await writeFile(path, toModelFile(packed, Math.floor(at * stride)));
      return path;
    }),
  );
}
