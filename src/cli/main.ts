#!/usr/bin/env node
import { tuneCollector } from "./tune-collector.js";

tuneCollector();
// Only now, for loading fills the heap that is to be collected so.
const { runCommandLine } = await import("./command-line.js");
process.exitCode = await runCommandLine(process.argv.slice(2));
