import { join } from "node:path";
import type { Bench, BenchOptions } from "./bench-options.js";
import { startDelayProxy } from "./delay-proxy.js";
import { withFolder, writeExpert } from "./fixtures.js";
import { runLoad, warmUp } from "./load-client.js";
import { median, toMarkdownTable, toMebibytes, toSpread, toVerdict } from "./report.js";
import { serveCommand, startServer } from "./start-server.js";

const LEAST_RATIO = 10;
const WARM_UP_BYTES = 8 * 1024 ** 2;

/** What do the receive windows bring where the network has a round trip? */
export const roundTrip: Bench = {
  summary: "rate through a delay proxy, with the server's windows and with HTTP/2's default",
  options: {
    rtt: { help: "round trip in milliseconds", fallback: "25" },
    rows: { help: "rows of the layer; 4096 x 4096 float32 are 64 MiB", fallback: "4096" },
    columns: { help: "columns of the layer", fallback: "4096" },
    rounds: { help: "uploads per setting, interleaved", fallback: "3" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const [rows, columns, rttMs] = [options.count("rows"), options.count("columns"), options.number("rtt")];
  await writeExpert(join(folder, "bench"), { rows, columns });
  const tuned = await openSetting("as configured", folder, rttMs, []);
  const plain = await openSetting("--receive-window default (65,535 bytes)", folder, rttMs, [
    "--receive-window",
    "default",
  ]);
  const settings = [tuned, plain];
  try {
    for (const { server } of settings) await warmUp({ target: server.target, rows, columns }, WARM_UP_BYTES);
    for (let round = 0; round < options.count("rounds"); round++) {
      for (const { title, proxy, rates } of settings) {
        const { megabytesPerSecond } = await runLoad({ target: proxy.target, rows, columns });
        rates.push(megabytesPerSecond);
        console.error(`round ${round + 1}: ${title}: ${megabytesPerSecond} MB/s`);
      }
    }
  } finally {
    await Promise.all(settings.flatMap(({ proxy, server }) => [proxy.stop(), server.stop()]));
  }
  const table = settings.map(({ title, rates }) => [title, toSpread(rates, 1)]);
  console.log(toMarkdownTable(["receive window", `MB/s at ${rttMs} ms`], table));
  const ratio = median(tuned.rates) / median(plain.rates);
  console.log(`\n- a layer of ${toMebibytes(rows * columns * 4)} MiB per upload, median with range`);
  console.log(toVerdict(ratio >= LEAST_RATIO, `ratio ${ratio.toFixed(1)}`, `>= ${LEAST_RATIO}`));
  return ratio >= LEAST_RATIO;
}

async function openSetting(title: string, experts: string, rttMs: number, extra: readonly string[]) {
  const server = await startServer(serveCommand({ experts, extra }));
  const proxy = await startDelayProxy({ target: server.target, rttMs });
  const rates: number[] = [];
  return { title, server, proxy, rates };
}
