import { createPlainBackend } from "../../../src/compute/backends/plain.js";
import { testComputeBackend } from "../../contracts/compute-backend.js";

// Sums are float64: only what is read is rounded.
testComputeBackend({ name: "plain", create: async () => createPlainBackend(), tolerance: 1e-6 });
