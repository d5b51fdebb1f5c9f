import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { ProbestreamError } from "../../../src/errors/probestream-error.js";
import { toCode } from "../../../src/rpc/status-codes.js";
import { openModel } from "../../../src/weights/model-file.js";
import type { Context, Refusal, Row } from "./row.js";

/** Opens a file that must be refused; its folder is cut out of the message. */
function file(bytes: Uint8Array, name: string) {
  return async ({ folder }: Context): Promise<Refusal> => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    try {
      await (await openModel(path)).close();
    } catch (error) {
      if (!(error instanceof ProbestreamError)) throw error;
      const message = error.message.replaceAll(`${folder}/`, "");
      return { of: "file", code: status[toCode(error)] as keyof typeof status, reason: error.reason, message };
    }
    throw new Error("it was opened");
  };
}

/** A safetensors file of a header text and so many bytes of data. */
function safetensors(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';

/** Files that the client reads. */
export const fileRows: readonly Row[] = [
  {
    name: "an empty file",
    find: file(new Uint8Array(0), "empty.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      '"empty.safetensors" has 0 bytes; a safetensors file starts with 8 bytes of header length. It is empty, cut short or no safetensors file: download or save it again.',
  },
  {
    name: "a file of 7 bytes",
    find: file(new Uint8Array(7), "short.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      '"short.safetensors" has 7 bytes; a safetensors file starts with 8 bytes of header length. It is empty, cut short or no safetensors file: download or save it again.',
  },
  {
    name: "a file cut in its header",
    find: file(safetensors(`{"w":{${entry}}}`, 8).subarray(0, 30), "cut-header.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "cut-header.safetensors" has 54 bytes, but the file ends 32 bytes before its end: the file is cut short or no safetensors file.',
  },
  {
    name: "a file cut in its data",
    find: file(safetensors(`{"w":{${entry}}}`, 5), "cut-data.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      '"cut-data.safetensors" has 67 bytes; its header describes 70, so 3 are missing. It was cut short: download or copy it again.',
  },
  {
    name: "a file with bytes left over",
    find: file(safetensors(`{"w":{${entry}}}`, 9), "longer.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      '"longer.safetensors" has 1 bytes after its last tensor; there must be none. The file is damaged or written wrong.',
  },
  {
    name: "a file with a gap between tensors",
    find: file(safetensors(`{"w":{${entry}},"v":{${entry.replace("[0,8]", "[12,20]")}}}`, 20), "gap.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "v" of "gap.safetensors" leaves a gap of 4 bytes; tensors must follow each other. The file is damaged or written wrong.',
  },
  {
    name: "a file with tensors that overlap",
    find: file(safetensors(`{"w":{${entry}},"v":{${entry.replace("[0,8]", "[4,12]")}}}`, 12), "overlap.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "v" of "overlap.safetensors" overlaps the one before it by 4 bytes; tensors must follow each other. The file is damaged or written wrong.',
  },
  {
    name: "a header length beyond the file",
    find: file(safetensors("{}", 0, 3n), "liar.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "liar.safetensors" has 3 bytes, but the file ends 1 bytes before its end: the file is cut short or no safetensors file.',
  },
  {
    name: "a header length beyond 100 MB",
    find: file(safetensors("{}", 0, 2n ** 63n), "giant.safetensors"),
    of: "file",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message:
      'The header of "giant.safetensors" claims 9223372036854775808 bytes; at most 100000000 are allowed. The file is damaged or no safetensors file.',
  },
  {
    name: "a header length that cuts the JSON",
    find: file(safetensors(`{"w":{${entry}}}`, 8, 9n), "cut-json.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "cut-json.safetensors" has a string without an end (at character 6); the file is damaged or not what its name says.',
  },
  {
    name: "a header that is no JSON",
    find: file(safetensors("{this is not JSON}"), "garbage.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "garbage.safetensors" needs a key in quotes (at character 1); the file is damaged or not what its name says.',
  },
  {
    name: "a header that is no UTF-8",
    find: file(safetensors(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), "latin.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message: 'The header of "latin.safetensors" is not UTF-8; the file is damaged.',
  },
  {
    name: "a header nested 5000 levels deep",
    find: file(safetensors(`{"w":${"[".repeat(5000)}${"]".repeat(5000)}}`), "deep.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "deep.safetensors" is nested deeper than the 8 levels allowed (at character 12); the file is damaged or not what its name says.',
  },
  {
    name: "a header with a tensor twice",
    find: file(safetensors(`{"w":{${entry}},"w":{${entry}}}`, 8), "twice.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'The header of "twice.safetensors" has the key "w" twice; every name may stand once (at character 57); the file is damaged or not what its name says.',
  },
  {
    name: "a header with a shape beyond 2^53",
    find: file(safetensors(`{"w":{${entry.replace("[2]", "[4294967296,4294967296]")}}}`, 8), "huge.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "w" of "huge.safetensors" has the shape [4294967296,4294967296], whose size is beyond 2^53; no file is that large.',
  },
  {
    name: "a header with a shape that is not its bytes",
    find: file(safetensors(`{"w":{${entry.replace("[2]", "[3]")}}}`, 8), "misfit.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "w" of "misfit.safetensors" has 8 bytes; "F32" of shape [3] needs 12. The file is damaged or written wrong.',
  },
  {
    name: "a header with negative offsets",
    find: file(safetensors(`{"w":{${entry.replace("[0,8]", "[-8,0]")}}}`, 8), "negative.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "HEADER_MALFORMED",
    message:
      'Tensor "w" of "negative.safetensors" has a data_offsets with an entry that is no whole number from 0 to 2^53 - 1.',
  },
  {
    name: "a pickled file",
    find: file(Buffer.from("\x80\x04\x95rest of a pickle", "latin1"), "pytorch_model.bin"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "FORMAT_REFUSED",
    message:
      '"pytorch_model.bin" is a pickled file; only safetensors and PyTorch\'s zip archives are read. Pickled files can run code when they are read. Convert it where you trust it: python -c \'import torch, safetensors.torch as s; s.save_file(torch.load("pytorch_model.bin", weights_only=True, map_location="cpu"), "model.safetensors")\'',
  },
  {
    name: "a pickled file that is called safetensors",
    find: file(Buffer.from("\x80\x02rest of a pickle", "latin1"), "pickle.safetensors"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "FORMAT_REFUSED",
    message:
      '"pickle.safetensors" is a pickled file; only safetensors and PyTorch\'s zip archives are read. Pickled files can run code when they are read. Convert it where you trust it: python -c \'import torch, safetensors.torch as s; s.save_file(torch.load("pickle.safetensors", weights_only=True, map_location="cpu"), "model.safetensors")\'',
  },
  {
    name: "a PyTorch archive that is cut off",
    find: file(Buffer.from("PK\x03\x04archive/data.pkl", "latin1"), "model.pt"),
    of: "file",
    code: "DATA_LOSS",
    reason: "CORRUPT",
    message:
      '"model.pt" is not an archive as PyTorch writes them: End of central directory record signature not found. Either not a zip file, or file is truncated. Save or download it again.',
  },
  {
    name: "a GGUF file",
    find: file(Buffer.from("GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00", "latin1"), "model.gguf"),
    of: "file",
    code: "INVALID_ARGUMENT",
    reason: "FORMAT_REFUSED",
    message:
      '"model.gguf" is a GGUF or GGML file, whose weights are mostly quantised; only safetensors and PyTorch\'s zip archives are read. Give the safetensors file that it was made from.',
  },
];
