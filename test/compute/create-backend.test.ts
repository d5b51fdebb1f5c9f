import test from "ava";
import { backendNames, createBackend, isBackendName } from "../../src/compute/create-backend.js";

test("onnx is the default backend and plain the other", (t) => {
  t.deepEqual(backendNames, ["onnx", "plain"]);
});

for (const name of backendNames) {
  test(`the backend ${name} is created by its name`, async (t) => {
    const backend = await createBackend(name);
    t.is(backend.name, name);
    await backend.dispose();
  });
}

test("words that Object.prototype has are no backends", (t) => {
  for (const word of ["toString", "constructor", "__proto__", "", "ONNX"]) t.false(isBackendName(word));
});
