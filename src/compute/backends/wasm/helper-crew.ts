import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { InternalError, UnavailableError } from "../../../errors/probestream-error.js";
import { toThreadArguments } from "../../../system/thread-arguments.js";
import { Board, boardBytes } from "./board.js";
import { type Crew, runAlone, type StripWork, stripCount } from "./crew.js";
import type { Kernel } from "./kernel.js";
import type { Regions } from "./regions.js";
import type { WasmMemory, WasmModule } from "./web-assembly.js";

/** What a helper thread is started with. */
export interface HelperSettings {
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  /** Where the board lies. */
  readonly board: number;
  readonly threads: number;
  /** The helper's own number, from 1 on. */
  readonly thread: number;
}

/** Strips per thread that lie in memory at the same time: at the end of a filling, threads wait for each other. */
const slotsPerThread = 16;

/** A strip takes some milliseconds. A helper that is silent for longer died. */
const helperTimeoutMs = 60_000;

/** Helper threads load this module. */
const helperModule = new URL("./helper-worker.js", import.meta.url);

/**
 * Starts `threads` - 1 helpers beside the caller's thread, on a memory that they share. Whoever is free takes the next
 * strip, so that a core that others use slows down only its own strips. Results depend on who took what by the order of
 * float64 additions alone.
 *
 * The caller's thread blocks while helpers finish. Helpers do not keep the process alive.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if a thread does not start.
 */
export async function startHelperCrew(
  kernel: Kernel,
  module: WasmModule,
  memory: WasmMemory,
  regions: Regions,
  threads: number,
): Promise<Crew> {
  const address = regions.allocate(boardBytes(threads));
  new Uint8Array(memory.buffer, address, boardBytes(threads)).fill(0);
  const board = new Board(memory.buffer, address, threads);
  const slots = slotsPerThread * threads;
  const numbers = Array.from({ length: threads - 1 }, (_, i) => i + 1);
  const helpers = numbers.map((thread) => startHelper({ module, memory, board: address, threads, thread }));
  const started = await Promise.allSettled(helpers.map((helper) => once(helper, "message")));
  const failed = started.find((one) => one.status === "rejected");
  const dispose = async (): Promise<void> => {
    await Promise.all(helpers.map(endHelper));
  };
  if (failed !== undefined) {
    await dispose();
    throw new UnavailableError(
      "BACKEND_UNAVAILABLE",
      `the wasm backend could not start ${threads - 1} helper threads; give it fewer threads`,
      { backend: "wasm", threads },
      { cause: failed.reason },
    );
  }
  for (const helper of helpers) {
    helper.unref();
    // A helper that dies between blocks is not missed: the others take all strips.
    helper.on("error", () => {});
  }

  function runSlots(
    work: StripWork,
    begin: number,
    end: number,
    stage: (strip: number, address: number) => void,
  ): void {
    board.openSlots(begin);
    for (let strip = begin; strip < end; strip++) {
      stage(strip, work.staging + (strip - begin) * work.stripBytes);
      board.announce();
    }
    while (board.addOne(kernel, 0));
    if (!board.waitForAdded(end - begin, helperTimeoutMs)) {
      throw new InternalError("INTERNAL", `a helper thread of the wasm backend was silent for ${helperTimeoutMs} ms`);
    }
  }

  return {
    threads,
    slots,
    run: (work, stage) => {
      const count = stripCount(work);
      if (count === 1) return runAlone(kernel, work, stage);
      board.post(work);
      for (let begin = 0; begin < count; begin += slots) runSlots(work, begin, Math.min(count, begin + slots), stage);
      for (const thread of numbers) {
        const partial = board.partialOf(thread, work);
        if (partial !== undefined) kernel.addSums(work.sum, partial, work.sumCount);
      }
    },
    dispose,
  };
}

function startHelper(settings: HelperSettings): Worker {
  return new Worker(helperModule, { workerData: settings, execArgv: toThreadArguments(process.execArgv) });
}

async function endHelper(helper: Worker): Promise<void> {
  // Its end has to be waited for, and only a thread with a reference keeps the process until then.
  helper.ref();
  await helper.terminate();
}
