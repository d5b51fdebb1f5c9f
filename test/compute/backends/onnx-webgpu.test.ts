import { testOnnxProvider } from "../../contracts/onnx-provider.js";

await testOnnxProvider("webgpu");
