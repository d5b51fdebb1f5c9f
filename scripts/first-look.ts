import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { mainScript } from "../bench/repository-root.js";
import { serveCommand, startServer } from "../bench/start-server.js";
import { exampleFolder, hasExample, makeExample } from "./example.js";

/**
 * The first thing to run on a fresh clone: makes the example if there is none, starts a server, and embeds the
 * example's models through it.
 */
const folder = exampleFolder;
if (!hasExample(folder)) {
  const { models, experts } = await makeExample(folder);
  console.log(`made ${folder}/: ${experts} experts, ${models} models, texts.safetensors`);
}
const [experts, models, texts] = ["experts", "models", "texts.safetensors"].map((name) => join(folder, name));
const server = await startServer(serveCommand({ experts: experts ?? "" }));
console.log(`${server.banner}\n`);
try {
  const words = ["embed", models ?? "", "--server", server.target, "--texts", texts ?? "", "--top", "2"];
  const child = spawn(process.execPath, [mainScript, ...words], { stdio: "inherit" });
  const [code] = await once(child, "exit");
  if (code !== 0) process.exitCode = 1;
} finally {
  await server.stop();
}
if (process.exitCode === undefined) {
  console.log(`
Each model's name starts with the concept that was put into its weights; the label beside it was read
from the weights alone, over gRPC. Go on with

  npx probestream inspect ${models} --experts ${experts}
  npx probestream embed ${models} --local --experts ${experts} --texts ${texts} --json
  npx probestream serve --experts ${experts}
  npx probestream --help`);
}
