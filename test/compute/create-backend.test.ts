import test from "ava";
import { backendNames, createBackend, isBackendName, whyUnavailable } from "../../src/compute/create-backend.js";

test("backends are gpu, onnx, wasm and plain", (t) => {
  t.deepEqual(backendNames, ["gpu", "onnx", "wasm", "plain"]);
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
