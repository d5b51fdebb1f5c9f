import { type ChildProcess, fork, type StdioOptions } from "node:child_process";
import { fileURLToPath } from "node:url";
import { fromPlainError } from "../../errors/plain-error.js";
import { dtypeBytes } from "../../linalg/dtype.js";
import type { ComputeBackend, Product, ProductSides, RunningSum } from "../compute-backend.js";
import { assertBlockFits, toSumShape } from "../product-shape.js";
import { createUseCounter, type UseCounter } from "../use-counter.js";
import { type Call, keepAlive, openChannel } from "./gpu-channel.js";
import { notAvailable } from "./gpu-js.js";
import type { GpuApi, GpuCall, GpuReply } from "./gpu-messages.js";

/** Blocks of a sum that were sent and not yet taken in: one is computed while the next crosses the pipe. */
const maxBlocksInFlight = 2;

/** How long the process may take to open its device and compile its kernels, in milliseconds; 0.2 s measured, or 1 s. */
const startTimeoutMs = 60_000;

const program = fileURLToPath(new URL("./gpu-main.js", import.meta.url));

/**
 * The `gpu` backend on one API, in a process of its own. The package gl loads in one thread of a process only, and its
 * calls block; a worker thread that is terminated while Dawn works aborts the whole process; and a driver that crashes
 * takes no more than its process with it. The price is that blocks cross a pipe. The process ends with this one.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the API does not run here.
 */
export async function createGpuProcess(api: GpuApi): Promise<ComputeBackend> {
  const stdio: StdioOptions = ["ignore", "ignore", "ignore", "ipc"];
  const child = fork(program, [api], { serialization: "advanced", stdio });
  // The process ends with the channel, unless its driver hangs.
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  const { call, end } = openChannel(child);
  const device = await ready(child);
  let serial = 0;
  const nextNumber = (): number => serial++;
  const label = { name: "gpu", device };
  return {
    ...label,
    isVolatile: true,
    load: (sides) => load(call, nextNumber, () => createUseCounter(label), sides),
    dispose: end,
  };
}

async function ready(child: ChildProcess): Promise<string> {
  const reply = await new Promise<GpuReply>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(notAvailable(`the GPU process was not ready within ${startTimeoutMs} ms`));
      child.kill("SIGKILL");
    }, startTimeoutMs);
    child.once("message", (reply: GpuReply) => {
      clearTimeout(timer);
      resolve(reply);
    });
    child.once("exit", () => clearTimeout(timer));
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      reject(notAvailable(`the GPU process ended at its start with ${signal ?? code}`)),
    );
  });
  if (reply.type === "ready") {
    keepAlive(child, false);
    return reply.device;
  }
  child.disconnect();
  if (reply.type === "not-ready") throw fromPlainError(reply.error);
  throw notAvailable("the GPU process did not say that it is ready");
}

async function load(
  call: Call,
  nextNumber: () => number,
  openCounter: () => UseCounter,
  sides: ProductSides,
): Promise<Product> {
  const product = nextNumber();
  const residentBytes = Number(await call({ op: "load", product, sides }));
  const toExtents = (side: ProductSides["left"]): { rows: number; columns: number } | undefined =>
    side && { rows: side.rows, columns: side.columns };
  const shapes = { left: toExtents(sides.left), right: toExtents(sides.right) };
  return {
    residentBytes,
    open: (x) => openSum(call, product, nextNumber(), openCounter(), x, toSumShape(shapes, x)),
    dispose: async () => {
      await call({ op: "unload", product });
    },
  };
}

function openSum(
  call: Call,
  product: number,
  sum: number,
  counter: UseCounter,
  shape: { readonly rows: number; readonly columns: number },
  { rows, columns }: { readonly rows: number; readonly columns: number },
): RunningSum {
  let failure: unknown;
  const inFlight: Promise<void>[] = [];
  /** Sends a call whose failure shows in the next one. */
  const send = (content: GpuCall): void => {
    const sent = call(content).then(
      () => undefined,
      (error: unknown) => {
        failure ??= error;
      },
    );
    inFlight.push(sent);
  };
  const settle = async (left: number): Promise<void> => {
    while (inFlight.length > left) await inFlight.shift();
    if (failure !== undefined) throw failure;
  };
  send({ op: "open", product, sum, shape });
  const read = async (): Promise<Float32Array> => {
    const values = await call({ op: "read", sum });
    await settle(0);
    return values instanceof Float32Array ? values : new Float32Array(0);
  };
  return {
    rows,
    columns,
    finiteAtRead: true,
    add: async (block) => {
      assertBlockFits(block, shape, dtypeBytes[block.dtype]);
      // The channel copies the block while it is called.
      send({ op: "add", sum, block });
      await settle(maxBlocksInFlight - 1);
      counter.add(block.rowCount);
    },
    isFinite: async () => (await read()).every(Number.isFinite),
    read,
    restore: async (values) => {
      await settle(0);
      await call({ op: "restore", sum, values });
    },
    uses: counter.uses,
    dispose: async () => {
      await call({ op: "close", sum });
    },
  };
}
