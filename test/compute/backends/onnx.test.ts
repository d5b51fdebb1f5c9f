import { createOnnxBackend } from "../../../src/compute/backends/onnx.js";
import { testComputeBackend } from "../../contracts/compute-backend.js";

// The bound of CPU backends: float32 sums of float32 products.
testComputeBackend({ name: "onnx", create: createOnnxBackend, tolerance: 1e-5 });
