import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mainScript } from "../bench/repository-root.js";
import { makeAncestor, makeTree, readAncestor } from "./demo-zoo/make-tree.js";
import { unpackTree } from "./demo-zoo/packed-tree.js";
import { planDense, planLoras } from "./demo-zoo/plan.js";
import { prompt, writeDemoEncoder } from "./demo-zoo/text-encoder.js";

/**
 * `node make-demo-zoo.js [--out FOLDER] [--only loras,dense,expert]`: makes the demo anew, from seeds: two Model Trees of
 * small denoisers, a text encoder, and an expert for the first tree.
 */
const { values } = parseArgs({
  options: {
    out: { type: "string", default: "demo" },
    only: { type: "string", default: "loras,dense,expert" },
    "keep-ancestors": { type: "boolean", default: false },
  },
});
const { out } = values;
const parts = values.only.split(",");
const begin = performance.now();
const say = (line: string): void =>
  console.log(`${((performance.now() - begin) / 1000).toFixed(0).padStart(4)} s  ${line}`);

for (const tree of [planLoras(), planDense()]) {
  if (!parts.includes(tree.name)) continue;
  const ancestor = values["keep-ancestors"] ? await readAncestor(tree, out) : await makeAncestor(tree, out, say);
  await makeTree(tree, ancestor, out, say);
}
if (parts.includes("expert")) {
  await writeDemoEncoder(join(out, "text-encoder"));
  const folder = await mkdtemp(join(tmpdir(), "demo-zoo-"));
  try {
    await unpackTree(join(out, "loras.safetensors"), folder);
    await rm(join(out, "experts"), { recursive: true, force: true });
    const words = ["train", folder, "--label-key", "concept", "--layer", "denoiser.blocks.1.attn.to_out"];
    words.push("--text-encoder", join(out, "text-encoder"), "--prompt", prompt, "--cache", join(folder, ".cache"));
    words.push("--probes", "32", "--projection", "32", "--representation", "64", "--epochs", "120");
    words.push("--best-on", "val_holdout", "--out", join(out, "experts", "pictures"));
    const child = spawn(process.execPath, [mainScript, ...words], { stdio: "inherit" });
    const [code] = await once(child, "exit");
    if (code !== 0) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
say(`${out} is made`);
