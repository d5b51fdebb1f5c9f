import { parentPort, workerData } from "node:worker_threads";
import { createOnnxBackend } from "../src/compute/backends/onnx.js";
import { createProductSides, type ProductSize } from "./product-sides.js";

/** To the worker: a block, whose buffer comes back; without one, the end. */
export interface ProductRequest {
  readonly buffer?: ArrayBuffer;
}

/** From the worker: ready, or a block's buffer. */
export interface ProductReply {
  readonly buffer?: ArrayBuffer;
}

const port = parentPort;
if (port === null) throw new Error("product-worker runs in a worker thread only");
const size = workerData as ProductSize;
const { rows, columns } = size;
const backend = await createOnnxBackend();
const product = await backend.load(createProductSides(size));
const sum = product.open({ rows, columns });
let queue: Promise<void> = Promise.resolve();
port.on("message", ({ buffer }: ProductRequest) => {
  queue = queue.then(async () => {
    if (buffer === undefined) {
      await product.dispose();
      await backend.dispose();
      port.close();
      return;
    }
    await sum.add({
      bytes: new Uint8Array(buffer),
      dtype: "F32",
      rowBegin: 0,
      rowCount: rows,
      columnCount: columns,
    });
    port.postMessage({ buffer } satisfies ProductReply, [buffer]);
  });
});
port.postMessage({} satisfies ProductReply);
