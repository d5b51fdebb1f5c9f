import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { createInterface } from "node:readline";
import { mainScript } from "../bench/repository-root.js";
import { serveCommand, startServer } from "../bench/start-server.js";
import { toTable } from "../src/cli/table.js";
import { openTextEncoder } from "../src/text/open-text-encoder.js";
import { encodeSafetensors, float32Bytes } from "../src/weights/safetensors-writer.js";
import { type DemoAnswer, toDemoPage } from "./demo-zoo/demo-page.js";
import { readPackedTree, unpackTree } from "./demo-zoo/packed-tree.js";
import { prompt } from "./demo-zoo/text-encoder.js";

/**
 * The demo: a server with an expert that was trained on LoRA fine-tunes of a small image denoiser, and models that it has
 * never seen, embedded over gRPC. Among them are concepts that no training model had: they are told by their texts alone.
 */
const source = "demo";
const folder = join(".cache", "demo");
const splits = ["test", "test_holdout"] as const;
const begin = performance.now();

const packed = join(source, "loras.safetensors");
const { models } = await readPackedTree(packed);
const count = await unpackTree(packed, join(folder, "models"), splits);
const concepts = new Map(models.map(({ path, metadata }) => [path, metadata["concept"] ?? ""]));
console.log(
  `${count} LoRA files in ${join(folder, "models")}: small denoisers of 16 × 16 pictures, fine-tuned on one concept each.`,
);

const server = await startServer(serveCommand({ experts: join(source, "experts") }));
console.log(`${server.banner}\n`);
const answers: DemoAnswer[] = [];
try {
  for (const split of splits) {
    const isUnseen = split === "test_holdout";
    const seen = models.filter((model) => model.split.endsWith("_holdout") === isUnseen);
    const candidates = [...new Set(seen.map(({ metadata }) => metadata["concept"] ?? ""))].sort();
    const texts = join(folder, `${split}-texts.safetensors`);
    await writeTexts(texts, candidates);
    const words = ["embed", join(folder, "models", split), "--server", server.target, "--texts", texts, "--json"];
    for await (const line of createInterface({ input: await run(words) })) {
      const { file, labels } = JSON.parse(line) as { file: string; labels: { label: string; cosine: number }[] };
      const path = relative(join(folder, "models"), file).split(sep).join("/");
      const index = models.findIndex((model) => model.path === path);
      answers.push({ split, path, index, truth: concepts.get(path) ?? "", labels: labels.slice(0, 3) });
    }
    const found = answers.filter((answer) => answer.split === split);
    const right = found.filter(({ truth, labels }) => truth === labels[0]?.label).length;
    await printTable(found, isUnseen);
    const what = isUnseen ? "concepts that no training model had" : "concepts that training models had";
    console.log(
      `\n${split}: ${right} of ${found.length} right (${((100 * right) / found.length).toFixed(1)} %), ${candidates.length} candidates, ${what}; chance is ${(100 / candidates.length).toFixed(1)} %\n`,
    );
  }
} finally {
  await server.stop();
}
const page = join(folder, "demo.html");
await mkdir(folder, { recursive: true });
await writeFile(page, toDemoPage(answers, await readFile(join(source, "loras.png"))));
console.log(`All answers with pictures: ${page}. It took ${((performance.now() - begin) / 1000).toFixed(0)} s.`);
console.log("This is a toy world with a real pipeline: everything but the size of the models is as it would be.");

/** Starts a command of the command line; gives its output. */
async function run(words: readonly string[]) {
  const child = spawn(process.execPath, [mainScript, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  child.once("exit", (code) => {
    if (code !== 0) process.exitCode = 1;
  });
  await once(child, "spawn");
  return child.stdout;
}

/** Writes the vectors of concepts' texts. */
async function writeTexts(path: string, labels: readonly string[]): Promise<void> {
  const encoder = await openTextEncoder(join(source, "text-encoder"));
  const { rows, columns, values } = await encoder.encode(labels.map((label) => prompt.replace("{}", label)));
  await encoder.dispose();
  const tensor = { name: "text_embeds", dtype: "F32", shape: [rows, columns], bytes: float32Bytes(values) };
  await writeFile(path, encodeSafetensors([tensor], { labels: JSON.stringify(labels) }));
}

/** Prints some answers, spread over all. */
async function printTable(found: readonly DemoAnswer[], isUnseen: boolean): Promise<void> {
  const stride = Math.ceil(found.length / (isUnseen ? 24 : 8));
  const rows = found
    .filter((_, place) => place % stride === 0)
    .map(({ path, truth, labels: [first, second] }) => [
      path.split("/")[1] ?? "",
      truth,
      `${first?.label ?? ""} ${first?.cosine.toFixed(2) ?? ""}`,
      `${second?.label ?? ""} ${second?.cosine.toFixed(2) ?? ""}`,
      truth === first?.label ? "right" : "",
    ]);
  const columns = ["model", "fine-tuned on", "read from the weights", "next", ""].map((title) => ({ title }));
  for (const line of toTable(columns, rows)) console.log(line);
}
