import { join } from "node:path";
import { parseArgs } from "node:util";
import { unpackTree } from "./demo-zoo/packed-tree.js";

/** `node unpack-demo.js [FOLDER]`: unpacks both Model Trees of the demo into files, to inspect, train and evaluate on. */
const { positionals } = parseArgs({ allowPositionals: true });
const [folder = join(".cache", "demo")] = positionals;
for (const tree of ["loras", "dense"]) {
  const count = await unpackTree(join("demo", `${tree}.safetensors`), join(folder, tree));
  console.log(`${join(folder, tree)}: ${count} models`);
}
