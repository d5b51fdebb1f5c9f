import test from "ava";
import {
  backendNames,
  createBackend,
  isBackendName,
  measuredNames,
  whyUnavailable,
} from "../../src/compute/create-backend.js";

test("backends are gpu, onnx on three providers, wasm and plain, and all but one are measured", (t) => {
  t.deepEqual(backendNames, ["gpu", "onnx", "onnx-cuda", "onnx-webgpu", "wasm", "plain"]);
  t.deepEqual(measuredNames, ["gpu", "onnx", "onnx-cuda", "wasm", "plain"]);
});

for (const name of ["onnx", "wasm", "plain"] as const) {
  test(`the backend ${name} is created by its name`, async (t) => {
    const backend = await createBackend(name);
    t.is(backend.name, name);
    await backend.dispose();
  });
}

test("words that Object.prototype has are no backends", (t) => {
  for (const word of ["toString", "constructor", "__proto__", "", "ONNX"]) t.false(isBackendName(word));
});

test("every backend is available where its package is installed", (t) => {
  for (const name of backendNames) t.is(whyUnavailable(name), undefined);
});

test("a backend whose package is not installed says what to install, and one that needs none is available", (t) => {
  const resolve = (specifier: string): string => import.meta.resolve(`no-such-folder/${specifier}`);
  t.is(
    whyUnavailable("onnx", resolve),
    "the onnx backend needs the package onnxruntime-node: npm install onnxruntime-node, or choose another --backend",
  );
  t.is(whyUnavailable("plain", resolve), undefined);
});
