import { InvalidInputError } from "../../errors/probestream-error.js";
import { quoteName } from "../quote-name.js";

/** The error for a pickle that PyTorch could not have written. */
export function malformedPickle(file: string, problem: string): InvalidInputError {
  const message = `The pickle in "${file}" is damaged: ${problem}. Save or download the file again.`;
  return new InvalidInputError("HEADER_MALFORMED", message, { file });
}

/** The error for a pickle that asks for more than plain data and tensors. `what` is from the file: it is only shown. */
export function refusedPickle(file: string, what: string): InvalidInputError {
  const message = `The pickle in "${file}" asks for ${quoteName(what)}, which is not plain data or a tensor; such a file may run code where it is loaded. Nothing in it was run. Save the model as safetensors where you trust the file.`;
  return new InvalidInputError("FORMAT_REFUSED", message, { file, asks: quoteName(what) });
}
