// Runs the contract suites of the backends on one GPU API, one test after another, and fails if one was skipped.
//
//   node .ci/gpu-suite.js webgpu|opengl [AVA options]

import { spawn } from "node:child_process";

const [api, ...options] = process.argv.slice(2);
const ava = ["node_modules/ava/entrypoints/cli.mjs", "--serial", "--timeout=300s", ...options];
const suites = { webgpu: ["gpu-webgpu", "onnx-webgpu"], opengl: ["gpu-opengl"] };
const files = suites[api].map((name) => `dist/test/compute/backends/${name}.test.js`);
const child = spawn(process.execPath, [...ava, ...files], {
  stdio: ["ignore", "pipe", "inherit"],
});
let skipped = false;
child.stdout.on("data", (data) => {
  process.stdout.write(data);
  if (/tests? skipped|# SKIP/.test(String(data))) skipped = true;
});
child.on("close", (code) => {
  if (skipped) console.error(`a suite on ${api} was skipped`);
  process.exitCode = skipped ? 1 : (code ?? 1);
});
