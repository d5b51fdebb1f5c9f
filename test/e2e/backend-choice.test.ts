import test from "ava";
import { serveCommand, startServer } from "../../bench/start-server.js";
import { connect } from "../../src/rpc/client.js";
import type { PortResult } from "../../src/search/embed-port.js";
import { toManifest } from "../helpers/embed-client.js";
import { openRawClient } from "../helpers/rpc-client.js";
import { toDigest } from "../helpers/rpc-messages.js";
import { smallLayer, smallModel, writeSmallExpert } from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

interface Setting {
  readonly what: string;
  /** Packages that are made to look as if they were not installed. */
  readonly packages: readonly string[];
  readonly isWasmHidden: boolean;
  /** Backends that cannot run then, and what the server says of them. */
  readonly absent: Readonly<Record<string, RegExp>>;
}

const onnxAbsent = { onnx: /npm install onnxruntime-node/, "onnx-cuda": /npm install onnxruntime-node/ };
const wasmAbsent = { wasm: /needs WebAssembly SIMD/ };
const settings: readonly Setting[] = [
  { what: "everything present", packages: [], isWasmHidden: false, absent: {} },
  { what: "onnxruntime missing", packages: ["onnxruntime-node"], isWasmHidden: false, absent: onnxAbsent },
  {
    what: "onnxruntime and WebAssembly missing",
    packages: ["onnxruntime-node"],
    isWasmHidden: true,
    absent: { ...onnxAbsent, ...wasmAbsent },
  },
  {
    what: "only plain left",
    packages: ["onnxruntime-node", "gpu.js", "webgpu"],
    isWasmHidden: true,
    absent: { ...onnxAbsent, ...wasmAbsent, gpu: /npm install gpu\.js/ },
  },
];

for (const setting of settings) {
  test.serial(`with ${setting.what}, the server takes the fastest of its own table and embeds with it`, async (t) => {
    const experts = await createTemporaryFolder(t);
    await writeSmallExpert(experts);
    const { program, args } = serveCommand({ experts, extra: ["--workers", "1", "--backend", "auto"] });
    const server = await startServer({ program, args: ["--import", toHook(setting), ...args] });
    t.teardown(() => server.stop());
    const client = openRawClient(server.target);
    const { backends } = await client.serverInfo();
    client.close();

    t.deepEqual(backends.map(({ name }) => name).sort(), ["gpu", "onnx", "onnx-cuda", "onnx-webgpu", "plain", "wasm"]);
    const [best] = backends;
    // That one runs only where it is named, and is not measured.
    const measured = backends.filter(({ name }) => name !== "onnx-webgpu");
    const available = measured.filter((one) => one.available);
    t.true(best?.available);
    t.is(best?.gflops, Math.max(...available.map(({ gflops }) => gflops)));
    t.true(available.every(({ gflops, unavailableReason }) => gflops > 0 && unavailableReason === ""));
    for (const { name, unavailableReason } of measured.filter((one) => !one.available)) {
      t.regex(unavailableReason, setting.absent[name] ?? /./, name);
    }
    for (const name of Object.keys(setting.absent)) t.false(backends.find((one) => one.name === name)?.available, name);
    if (Object.keys(setting.absent).length === 4)
      t.deepEqual(
        available.map(({ name }) => name),
        ["plain"],
      );

    const { backends: used } = await embed(server.target);
    t.deepEqual(used, [{ name: best?.name ?? "", device: best?.device ?? "", rows: smallLayer.rows }]);
  });
}

function toHook({ packages, isWasmHidden }: Setting): string {
  const url = new URL("../fixtures/hide-backends.js", import.meta.url);
  url.searchParams.set("packages", packages.join(","));
  if (isWasmHidden) url.searchParams.set("wasm", "hidden");
  return url.href;
}

async function embed(target: string): Promise<PortResult> {
  const client = connect({ target });
  try {
    const { modelId, tensors, experts } = smallModel(1);
    const [plan] = await client.plan([
      { modelId, uploadId: "", tensors: toManifest(tensors), metadata: new Map(), experts },
    ]);
    if (plan === undefined || plan instanceof Error) throw plan ?? new Error("no plan");
    const stream = await client.open();
    await stream.header(modelId, plan);
    const ranges = plan.tensors.map(
      ({ tensor }) => tensors.find(({ name }) => name === tensor.name)?.bytes ?? new Uint8Array(0),
    );
    for (const [index, range] of ranges.entries()) await stream.chunk(index, 0, range);
    const totalBytes = ranges.reduce((sum, { byteLength }) => sum + byteLength, 0);
    await stream.footer(totalBytes, toDigest(ranges));
    const outcome = (await stream.finish()).results[0]?.outcome;
    if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error("no result");
    return outcome;
  } finally {
    await client.close();
  }
}
