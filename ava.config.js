import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";

const dist = join(import.meta.dirname, "dist");
const every = ["dist/test/**/*.test.js"];

/**
 * Rooms, and which of their test files share a thread. A thread of its own costs a file half a second of a core before
 * its first test: more than most of these take. Those that take long, or whose neighbours would disturb them, run alone:
 * they watch timers, memory or threads, or break something off.
 */
const shared = {
  bench: /^(fixtures|heritage-family|projection-layer|report|seeded-layer)\./,
  cli: /^(?!(catalogue|catalogue-local|embed|embed-refusals|index|interrupt|route|serve|serve-tokens|train)\.)/,
  compute: /^(backends\/wasm\/.*|create-backend|failover-backend-refusals|gpu\/device-backend)\./,
  errors: /./,
  experts: /./,
  linalg: /./,
  onnx: /./,
  projection: /./,
  retrieval: /./,
  rpc: /^(clean-details|client-channel|convert\/.*|from-status|garbage-counter|loopback|release-message|remember|tokens\/(parse-tokens|read-token-file|token-set))\./,
  search:
    /^(assert-catalogue|block-writer|memory-plan|model-projection|plan-embedding|probing\/.*|read-texts|resident-expert|stream-header|upload-state)\./,
  system: /^(make-folder|replace-file)\./,
  text: /^(?!start-text-encoder\.)/,
  training: /^(?!run-state\.)/,
  trees: /^(?!heritage\/read-layer-statistics\.)/,
  vectors:
    /^(claim-number|compare-text|stores\/postgres\/.*|stores\/lmdb\/(find-nearest|remembered|segments|slots|to-store-error))\./,
  weights: /^(?!http-source\.|hub\/download-model-files\.)/,
};

/** Writes a file per room that imports those of its tests that share a thread. */
function writeSuites() {
  const suites = join(dist, "suites");
  rmSync(suites, { recursive: true, force: true });
  mkdirSync(suites);
  const together = Object.entries(shared).map(([room, pattern]) => {
    const files = readdirSync(join(dist, "test", room), { recursive: true })
      .filter((file) => file.endsWith(".test.js") && pattern.test(file))
      .sort();
    const imports = files.map((file) => `import "../test/${room}/${file}";\n`);
    writeFileSync(join(suites, `${room}.test.js`), imports.join(""));
    return files.map((file) => `!dist/test/${room}/${file}`);
  });
  return ["dist/suites/*.test.js", ...every, ...together.flat()];
}

/** Measures what a server leaves of the cores: it runs last, when they are free. */
const last = "health-latency.test.js";

// Most threads of tests last a few seconds: V8 is to optimize what has run eight times as long as it waits for otherwise
// (66 kB of bytecode). Without that, a tenth of the time goes into code that is hardly used after.
setFlagsFromString("--interrupt-budget=540672");

/** Files that the command line names have a thread each; the value of an option is taken for one, which costs time only. */
const namesFiles = process.argv.slice(2).some((word) => !word.startsWith("-") && !word.includes("dist/suites"));

export default {
  files: namesFiles || !existsSync(join(dist, "test")) ? every : writeSuites(),
  timeout: "120s",
  // One more than two cores have work for: tests wait for timers and for processes.
  concurrency: 3,
  sortTestFiles: (a, b) => Number(a.endsWith(last)) - Number(b.endsWith(last)) || (a < b ? -1 : 1),
};
