import { testGpuBackend } from "../../contracts/gpu-backend.js";

await testGpuBackend("webgpu");
