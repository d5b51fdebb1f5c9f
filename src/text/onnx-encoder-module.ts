/** Opens an encoder whose model is ONNX; what an encoding thread loads unless it is told another module. */
export { openTextEncoder as openEncoder } from "./open-text-encoder.js";
