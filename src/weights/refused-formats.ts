import { InvalidInputError } from "../errors/probestream-error.js";
import { MAX_HEADER_BYTES } from "./safetensors-limits.js";

/** Bytes of a file's start by which its format is recognised: a tar header says so at byte 257, a zip names its entries. */
export const FORMAT_PREFIX_BYTES = 4096;

/** A format that is not safetensors, and how to come from it to safetensors. */
interface ForeignFormat {
  readonly what: string;
  readonly advice: string;
}

const convertPickle = `Pickled files can run code when they are read. Convert it where you trust it: python -c 'import torch, safetensors.torch as s; s.save_file(torch.load("PATH", weights_only=True, map_location="cpu"), "model.safetensors")'`;
const convertAny = "Save the model as safetensors with the library that wrote it, and give that file.";

const pickle: ForeignFormat = { what: "a pickled file", advice: convertPickle };
const torchArchive: ForeignFormat = { what: "a PyTorch archive (zip with a pickle in it)", advice: convertPickle };
const otherArchive: ForeignFormat = {
  what: "an archive",
  advice: "Unpack it and give the .safetensors file, if it has one.",
};
const gguf: ForeignFormat = {
  what: "a GGUF or GGML file, whose weights are mostly quantised",
  advice: "Give the safetensors file that it was made from.",
};
const hdf5: ForeignFormat = { what: "an HDF5 file", advice: convertAny };
const numpy: ForeignFormat = { what: "a NumPy file", advice: convertAny };
const onnx: ForeignFormat = { what: "an ONNX file", advice: convertAny };
const flax: ForeignFormat = { what: "a Flax file", advice: convertAny };
const lfsPointer: ForeignFormat = {
  what: "a Git LFS pointer, not the file itself",
  advice: "Fetch the file with `git lfs pull`.",
};
const webPage: ForeignFormat = {
  what: "a web page",
  advice:
    "Give the address of the file itself (on Hugging Face the one with /resolve/ in it), and a token if it needs one.",
};

/** Whether a file's first {@link FORMAT_PREFIX_BYTES} are those of a zip with a pickle, as PyTorch 1.6 and later write. */
export function isTorchArchive(prefix: Uint8Array): boolean {
  const text = toLatin1(prefix);
  return text.startsWith("PK\x03\x04") && text.includes("data.pkl");
}

/** Formats by the bytes they start with. Pickle protocols 2 to 5 start with 0x80 and their number. */
const magics: readonly (readonly [string, ForeignFormat])[] = [
  ["\x80\x02", pickle],
  ["\x80\x03", pickle],
  ["\x80\x04", pickle],
  ["\x80\x05", pickle],
  ["GGUF", gguf],
  ["ggml", gguf],
  ["tjgg", gguf],
  ["\x89HDF\r\n\x1a\n", hdf5],
  ["\x93NUMPY", numpy],
  ["version https://git-lfs", lfsPointer],
  ["<!doctype html", webPage],
  ["<!DOCTYPE html", webPage],
  ["<html", webPage],
];

const extensions: ReadonlyMap<string, ForeignFormat> = new Map([
  ["bin", pickle],
  ["pt", pickle],
  ["pth", pickle],
  ["ckpt", pickle],
  ["pkl", pickle],
  ["pickle", pickle],
  ["gguf", gguf],
  ["ggml", gguf],
  ["h5", hdf5],
  ["npy", numpy],
  ["npz", numpy],
  ["onnx", onnx],
  ["msgpack", flax],
  ["tar", otherArchive],
  ["zip", otherArchive],
]);

/** The extension by which a file of another format goes; undefined for any other name. */
export function foreignExtensionOf(name: string): string | undefined {
  const extension = toExtension(name);
  return extensions.has(extension) ? extension : undefined;
}

/**
 * Refuses files that are known not to be safetensors, pickles above all. Content decides before the name: a file
 * that starts like safetensors passes whatever it is called.
 *
 * @param prefix The file's first {@link FORMAT_PREFIX_BYTES}, or all of a shorter one.
 * @param name Its path or URL without a query; the extension counts where the content says nothing.
 * @throws InvalidInputError `FORMAT_REFUSED`, with what it is and how to convert it.
 */
export function assertSafetensorsFormat(prefix: Uint8Array, name: string): void {
  const format = recogniseForeignFormat(prefix, name);
  if (format === undefined) return;
  const message = `"${name}" is ${format.what}; only safetensors and PyTorch's zip archives are read. ${format.advice.replace("PATH", () => name)}`;
  throw new InvalidInputError("FORMAT_REFUSED", message, { file: name, format: format.what });
}

function recogniseForeignFormat(prefix: Uint8Array, name: string): ForeignFormat | undefined {
  // First, for a safetensors header of 640 bytes starts with 0x80 0x02, as a pickle does.
  if (startsLikeSafetensors(prefix)) return undefined;
  const text = toLatin1(prefix);
  if (text.startsWith("PK\x03\x04")) return text.includes("data.pkl") ? torchArchive : otherArchive;
  // PyTorch before 0.2 wrote a tar of pickles.
  if (text.startsWith("ustar", 257)) return pickle;
  const found = magics.find(([magic]) => text.startsWith(magic));
  return found?.[1] ?? extensions.get(toExtension(name));
}

function toLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function toExtension(name: string): string {
  return /\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

function startsLikeSafetensors(prefix: Uint8Array): boolean {
  if (prefix.length < 9) return false;
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  return view.getBigUint64(0, true) <= BigInt(MAX_HEADER_BYTES) && prefix[8] === 0x7b;
}
