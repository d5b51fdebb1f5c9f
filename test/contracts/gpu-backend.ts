import test from "ava";
import { createGpuBackend } from "../../src/compute/backends/gpu.js";
import type { GpuApi } from "../../src/compute/gpu/gpu-messages.js";
import { embedModel, planTestModel, startTestEmbedder, toEmbedding } from "../helpers/embed-client.js";
import { findGpuProcesses } from "../helpers/gpu-processes.js";
import { relativeError } from "../helpers/oracle.js";
import { largeModel, writeLargeExpert } from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { testComputeBackend } from "./compute-backend.js";

/**
 * Registers the backend contract for the `gpu` backend on one API, and what else a GPU is held to; one skipped test
 * with the reason where there is none.
 */
export async function testGpuBackend(api: GpuApi): Promise<void> {
  const create = () => createGpuBackend([api]);
  let device: string;
  try {
    const backend = await create();
    device = backend.device;
    await backend.dispose();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    test.skip(`gpu on ${api} passes the contract of backends (${reason})`, () => undefined);
    return;
  }
  test(`gpu on ${api} runs on ${device}`, (t) => {
    t.not(device, "");
  });
  // The bound of GPU backends: float32 sums in whatever order and with whatever contraction the driver chooses.
  testComputeBackend({ name: "gpu", create, tolerance: 1e-4 });

  // AVA starts serial tests before all others: no other test has a GPU process that could be meant.
  test.serial(
    `a client whose GPU on ${api} dies in mid-stream notices nothing, and is told what ran each part`,
    async (t) => {
      const root = await writeLargeExpert(await createTemporaryFolder(t));
      const expected = await embedModel(await startTestEmbedder(t, root), largeModel(""));
      const embedder = await startTestEmbedder(t, root, {
        computeModule: new URL(`../fixtures/gpu-failover-backend.js?api=${api}`, import.meta.url),
      });
      t.is(embedder.backend.name, "gpu");
      const planned = await planTestModel(embedder, largeModel(""));
      const [range = new Uint8Array(0)] = planned.ranges;
      const chunkBytes = 1024 * 1024;
      const stream = embedder.openStream();
      await stream.header(planned.header);
      for (let at = 0; at < range.byteLength; at += chunkBytes) {
        if (at === 12 * chunkBytes) for (const pid of await findGpuProcesses()) process.kill(pid, "SIGKILL");
        await stream.chunk(0, at, range.subarray(at, at + chunkBytes));
      }
      await stream.footer(planned);
      const result = toEmbedding((await stream.finish())[0]);
      const [found, wanted] = [
        result.embeddings[0]?.representation ?? [],
        expected.embeddings[0]?.representation ?? [],
      ];
      t.true(relativeError(found, wanted) <= 1e-4, `${relativeError(found, wanted)}`);
      t.deepEqual(
        result.backends.map(({ name }) => name),
        ["gpu", "onnx"],
      );
      for (const { rows } of result.backends) t.true(rows > 0);
      t.is(
        result.backends.reduce((sum, { rows }) => sum + rows, 0),
        result.rowsProjected,
      );
    },
  );
}
