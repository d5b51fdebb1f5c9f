import { type Bench, parseBenchOptions } from "./bench-options.js";
import { calibration } from "./calibration.js";
import { clients } from "./clients.js";
import { discoveryScale } from "./discovery-scale.js";
import { duplicates } from "./duplicates.js";
import { heritage } from "./heritage.js";
import { indexQueue } from "./index-queue.js";
import { ingest } from "./ingest.js";
import { localProbing } from "./local-probing.js";
import { memory } from "./memory.js";
import { models } from "./models.js";
import { postgres } from "./postgres.js";
import { projection } from "./projection.js";
import { resume } from "./resume.js";
import { retrieveLoad } from "./retrieve-load.js";
import { roundTrip } from "./round-trip.js";
import { routing } from "./routing.js";
import { routingCost } from "./routing-cost.js";
import { soak } from "./soak.js";
import { storeCrash } from "./store-crash.js";
import { stores } from "./stores.js";
import { trainingOptions } from "./training-options.js";
import { trees } from "./trees.js";
import { worker } from "./worker.js";
import { zooRetrieval } from "./zoo-retrieval.js";

const benches = {
  calibration,
  clients,
  "discovery-scale": discoveryScale,
  duplicates,
  heritage,
  "index-queue": indexQueue,
  ingest,
  "local-probing": localProbing,
  memory,
  models,
  postgres,
  projection,
  resume,
  "retrieve-load": retrieveLoad,
  "round-trip": roundTrip,
  routing,
  "routing-cost": routingCost,
  soak,
  "store-crash": storeCrash,
  stores,
  "training-options": trainingOptions,
  trees,
  worker,
  "zoo-retrieval": zooRetrieval,
} satisfies Record<string, Bench>;

/** Runs one bench by name; the exit code is 1 if something that it wanted was not met. */
async function main([name = "--help", ...args]: readonly string[]): Promise<void> {
  const bench = new Map<string, Bench>(Object.entries(benches)).get(name);
  if (bench === undefined) {
    console.log("usage: npm run bench -- NAME [options], or NAME --help\n");
    for (const [each, { summary }] of Object.entries(benches)) console.log(`  ${each.padEnd(18)}${summary}`);
    if (!["--help", "-h", "help"].includes(name)) process.exitCode = 2;
    return;
  }
  if (args.includes("--help") || args.includes("-h")) {
    console.log(`${name}: ${bench.summary}\n`);
    for (const [option, { help, fallback }] of Object.entries(bench.options)) {
      console.log(`  --${option.padEnd(16)}${help}${fallback === "" ? "" : ` (default: ${fallback})`}`);
    }
    return;
  }
  const met = await bench.run(parseBenchOptions(bench.options, args));
  console.log(`\nMade by \`npm run bench -- ${[name, ...args].join(" ")}\` on Node ${process.version}.`);
  if (!met) process.exitCode = 1;
}

await main(process.argv.slice(2));
