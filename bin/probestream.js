#!/usr/bin/env node
// Lies beside the build and not in it: npm links a command when it installs, and remembers one that is not there.
import { existsSync } from "node:fs";

const main = new URL("../dist/src/cli/main.js", import.meta.url);
if (existsSync(main)) await import(main.href);
else {
  console.error("probestream: it is not built yet; run `npm run build` in its folder");
  process.exitCode = 3;
}
