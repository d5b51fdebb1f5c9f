import { parentPort, workerData } from "node:worker_threads";
import { Board } from "./board.js";
import type { HelperSettings } from "./helper-crew.js";
import { instantiateKernel } from "./kernel.js";

const { module, memory, board: address, threads, thread } = workerData as HelperSettings;
const kernel = instantiateKernel(module, memory);
const board = new Board(memory.buffer, address, threads);
parentPort?.postMessage("ready");

// Ends when the crew is disposed, or with the process: a wait does not hold up either.
for (;;) {
  board.waitForStaged();
  while (board.addOne(kernel, thread));
}
