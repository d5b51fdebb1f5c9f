// Runs the contract suite of the `gpu` backend on one API, one test after another, and fails if it was skipped.
//
//   node .ci/gpu-suite.js webgpu|opengl [AVA options]

import { spawn } from "node:child_process";

const [api, ...options] = process.argv.slice(2);
const ava = ["node_modules/ava/entrypoints/cli.mjs", "--serial", "--timeout=300s", ...options];
const child = spawn(process.execPath, [...ava, `dist/test/compute/backends/gpu-${api}.test.js`], {
  stdio: ["ignore", "pipe", "inherit"],
});
let skipped = false;
child.stdout.on("data", (data) => {
  process.stdout.write(data);
  if (/tests? skipped|# SKIP/.test(String(data))) skipped = true;
});
child.on("close", (code) => {
  if (skipped) console.error(`the suite of gpu on ${api} was skipped`);
  process.exitCode = skipped ? 1 : (code ?? 1);
});
