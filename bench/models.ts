import { join } from "node:path";
import type { Bench, BenchOptions } from "./bench-options.js";
import { type Command, runChild } from "./child-process.js";
import { startDelayProxy } from "./delay-proxy.js";
import { withFolder, writeExpert, writeLoraModels } from "./fixtures.js";
import { median, toMarkdownTable, toSpread, toVerdict } from "./report.js";
import { mainScript } from "./repository-root.js";
import { serveCommand, startServer } from "./start-server.js";

const LEAST_SHARE = 1 / 3;
const MODULE = "lm.blocks.1.attn.to_out";

/** How many small models a second does the command line embed? */
export const models: Bench = {
  summary: "models per second of `probestream embed FOLDER --server`, without and with a round trip",
  options: {
    folder: { help: "folder of LoRA files; none: made up, 128 x 128 of rank 8", fallback: "" },
    experts: { help: "folder of expert folders that serves them; none: made up", fallback: "" },
    expert: { help: "name of the expert; none: the only one that fits", fallback: "" },
    count: { help: "made-up models", fallback: "2000" },
    rtt: { help: "round trip in milliseconds", fallback: "25" },
    rounds: { help: "runs per setting, interleaved", fallback: "3" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(work: string, options: BenchOptions): Promise<boolean> {
  const { folder, experts } = await chooseData(work, options);
  const rttMs = options.number("rtt");
  const server = await startServer(serveCommand({ experts }));
  const proxy = await startDelayProxy({ target: server.target, rttMs });
  const settings = [
    { rttMs: 0, target: server.target, rates: [] as number[] },
    { rttMs, target: proxy.target, rates: [] as number[] },
  ];
  let count = 0;
  try {
    await runEmbed(folder, server.target, options.text("expert"));
    for (let round = 0; round < options.count("rounds"); round++) {
      for (const setting of settings) {
        const start = performance.now();
        count = await runEmbed(folder, setting.target, options.text("expert"));
        const rate = (count * 1000) / (performance.now() - start);
        setting.rates.push(rate);
        console.error(`round ${round + 1}: ${setting.rttMs} ms: ${rate.toFixed(0)} models/s`);
      }
    }
  } finally {
    await Promise.all([proxy.stop(), server.stop()]);
  }
  const rows = settings.map((setting) => [`${setting.rttMs} ms`, toSpread(setting.rates, 0)]);
  console.log(toMarkdownTable(["round trip", "models/s"], rows));
  const [near, far] = settings.map(({ rates }) => median(rates));
  const share = (far ?? 0) / (near ?? 1);
  console.log(`\n- ${count} models; wall clock of the whole command, start of Node included; median with range`);
  console.log(toVerdict(share >= LEAST_SHARE, `far to near: ${share.toFixed(2)}`, ">= 1/3"));
  return share >= LEAST_SHARE;
}

async function chooseData(work: string, options: BenchOptions): Promise<{ folder: string; experts: string }> {
  const [folder, experts] = [options.text("folder"), options.text("experts")];
  if ((folder === "") !== (experts === "")) throw new Error("give --folder and --experts, or neither");
  if (folder !== "") return { folder, experts };
  const size = { module: MODULE, rows: 128, columns: 128 };
  const made = { folder: join(work, "models"), experts: join(work, "experts") };
  await writeExpert(join(made.experts, "bench"), { ...size, kind: "lora" });
  await writeLoraModels(made.folder, { ...size, count: options.count("count"), rank: 8 });
  return made;
}

/** Embeds a folder and returns how many models got a representation. */
async function runEmbed(folder: string, target: string, expert: string): Promise<number> {
  const choice = expert === "" ? [] : ["--expert", expert];
  const args = [mainScript, "embed", folder, "--server", target, ...choice, "--json"];
  const command: Command = { program: process.execPath, args };
  const lines = await runChild(command);
  return lines.filter((line) => line.includes('"representation"')).length;
}
