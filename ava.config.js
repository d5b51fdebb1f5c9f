import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";

/**
 * Rooms, and which of their test files share a thread. A thread of its own costs a file half a second of a core before
 * its first test: more than most of these take. Those that start servers or processes, or watch timers, memory or
 * threads, run alone.
 */
const shared = {
  bench: /^(fixtures|heritage-family|projection-layer|report|seeded-layer)\./,
  // All but those that start processes, are broken off, or take several seconds.
  cli: /^(?!(catalogue|catalogue-local|embed|embed-ended|embed-refusals|index|interrupt|route|serve|serve-tokens|train)\.)/,
  compute: /^(backends\/wasm\/.*|create-backend|failover-backend-refusals|gpu\/device-backend)\./,
  errors: /./,
  experts: /./,
  linalg: /./,
  onnx: /./,
  projection: /./,
  retrieval: /./,
  rpc: /^(clean-details|client-channel|convert\/.*|from-status|garbage-counter|loopback|release-message|remember|tokens\/(parse-tokens|read-token-file|token-set))\./,
  search:
    /^(assert-catalogue|block-writer|collect-garbage|memory-plan|model-projection|plan-embedding|probing\/.*|read-texts|resident-expert|stream-header|unless-aborted|upload-state)\./,
  system: /^(make-folder|replace-file)\./,
  text: /^(?!start-text-encoder\.)/,
  training: /^(?!run-state\.)/,
  trees: /./,
  vectors:
    /^(claim-number|compare-text|stores\/postgres\/.*|stores\/lmdb\/(find-nearest|remembered|segments|slots|to-store-error))\./,
  weights: /^(?!http-source\.|hub\/download-model-files\.)/,
};

/** Writes a file per room that imports those of its tests that share a thread. */
function writeSuites() {
  rmSync("dist/suites", { recursive: true, force: true });
  mkdirSync("dist/suites", { recursive: true });
  const together = Object.entries(shared).map(([room, pattern]) => {
    const files = readdirSync(`dist/test/${room}`, { recursive: true })
      .filter((file) => file.endsWith(".test.js") && pattern.test(file))
      .sort();
    writeFileSync(`dist/suites/${room}.test.js`, files.map((file) => `import "../test/${room}/${file}";\n`).join(""));
    return files.map((file) => `!dist/test/${room}/${file}`);
  });
  return ["dist/suites/*.test.js", "dist/test/**/*.test.js", ...together.flat()];
}

/** Measures what a server leaves of the cores: it runs last, when they are free. */
const last = "health-latency.test.js";

// Most test files last a second or two, in a thread of their own: V8 is to optimize what has run eight times as long as
// it waits for otherwise (66 kB of bytecode). Without that, a tenth of the time goes into code that is hardly used after.
setFlagsFromString("--interrupt-budget=540672");

/** Files that the command line names have a thread each. */
const namesFiles = process.argv.slice(2).some((word) => word.includes("dist/test/"));

export default {
  files: namesFiles ? ["dist/test/**/*.test.js"] : writeSuites(),
  timeout: "120s",
  concurrency: 2,
  sortTestFiles: (a, b) => Number(a.endsWith(last)) - Number(b.endsWith(last)) || (a < b ? -1 : 1),
};
