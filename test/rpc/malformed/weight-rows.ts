import { Dtype } from "../../../src/gen/probestream/v1/types_pb.js";
import { float32Bytes } from "../../../src/weights/safetensors-writer.js";
import { toChunk, toDigest, toFooter, toHeader, toModel } from "../../helpers/rpc-messages.js";
import { dense, denseBytes, lora, loraBytes, manifest, shape, tensor } from "./models.js";
import { upload } from "./refusals.js";
import type { Row } from "./row.js";

/** The faultless model with one number replaced. */
function withNumber(bytes: Uint8Array, index: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setFloat32(index * 4, value, true);
  return copy;
}

/** Uploads whose bytes are not those announced, or no weights. */
export const weightRows: readonly Row[] = [
  {
    name: "a chunk of a tensor that the header does not have",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(1, 0, denseBytes), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "chunk.tensor_index is 1; the header has 1 tensors, counted from 0",
  },
  {
    name: "an empty chunk",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(0)), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: 'an empty chunk came for tensor "layer.weight"; send 1 byte or more',
  },
  {
    name: "a chunk that is longer than allowed",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(4097)), toFooter(120)]),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "a chunk has 4097 bytes; 4096 are allowed (--max-chunk)",
  },
  {
    name: "a chunk that leaves a gap",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 4, denseBytes.subarray(4)), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "OFFSET_MISMATCH",
    message: 'a chunk of tensor "layer.weight" starts at 4, the previous one ended at 0',
  },
  {
    name: "a chunk that overlaps the one before",
    find: upload(dense, (planned) => [
      toHeader(planned),
      toChunk(0, 0, denseBytes.subarray(0, 8)),
      toChunk(0, 4, denseBytes.subarray(4)),
      toFooter(120),
    ]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "OFFSET_MISMATCH",
    message: 'a chunk of tensor "layer.weight" starts at 4, the previous one ended at 8',
  },
  {
    name: "a chunk at offset 2^64 - 1",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 2n ** 64n - 1n, denseBytes), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "chunk.offset is 18446744073709551615; it can be 2^53 - 1 at most",
  },
  {
    name: "a chunk that reaches beyond the range",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(121)), toFooter(121)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_OVERRUN",
    message: 'bytes 0 to 121 came for tensor "layer.weight", whose range has 120',
  },
  {
    name: "a chunk after the last byte of the range",
    find: upload(dense, (planned) => [
      toHeader(planned),
      toChunk(0, 0, denseBytes),
      toChunk(0, 120, new Uint8Array(1)),
      toFooter(121),
    ]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_OVERRUN",
    message: 'bytes 120 to 121 came for tensor "layer.weight", whose range has 120',
  },
  {
    name: "a chunk of the second tensor before the first is complete",
    find: upload(lora, (planned) => [toHeader(planned), toChunk(1, 0, new Uint8Array(48)), toFooter(88)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "OFFSET_MISMATCH",
    message: "a chunk of tensor 1 came before tensor 0 was complete; tensors come in the header's order",
  },
  {
    name: "a footer before the last byte",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes.subarray(0, 119)), toFooter(120)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_INCOMPLETE",
    message: 'the footer came after 119 of 120 bytes of tensor "layer.weight"; send the whole range first',
  },
  {
    name: "a footer without any byte of the second tensor",
    find: upload(lora, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(40)), toFooter(88)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_INCOMPLETE",
    message: 'the footer came after 0 of 48 bytes of tensor "mod.lora.up.weight"; send the whole range first',
  },
  {
    name: "a footer with another total",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes), toFooter(121)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TENSOR_INCOMPLETE",
    message: "footer.total_bytes is 121, the ranges have 120 bytes together",
  },
  {
    name: "a footer with a total beyond 2^53",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes), toFooter(2n ** 64n - 1n)]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "total_bytes is 18446744073709551615; it can be 2^53 - 1 at most",
  },
  {
    name: "a footer with another digest",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes), toFooter(120, new Uint8Array(32))]),
    of: "model",
    code: "DATA_LOSS",
    reason: "DIGEST_MISMATCH",
    message:
      "the bytes that arrived have digest e94440e6a71967d2f529bd5ba6ecafceacce0f40653898c1692b50a2a3d0ae43, the footer says 0000000000000000000000000000000000000000000000000000000000000000: they were damaged on the way, or the file changed during the upload; upload it again",
  },
  {
    name: "a footer with a digest of 5 bytes",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes), toFooter(120, new Uint8Array(5))]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "footer.digest has 5 bytes; a SHA-256 has 32, and without one the field stays empty",
  },
  {
    name: "one flipped bit",
    find: upload(dense, function* (planned) {
      const flipped = denseBytes.slice();
      flipped[7] = (flipped[7] ?? 0) ^ 1;
      yield toHeader(planned);
      yield toChunk(0, 0, flipped);
      yield toFooter(120, toDigest([denseBytes]));
    }),
    of: "model",
    code: "DATA_LOSS",
    reason: "DIGEST_MISMATCH",
    message:
      "the bytes that arrived have digest 04923f4c50347d6c6b43f930d12e480bbc4f37deea5f52bcc2c1b1eead5e30d1, the footer says e94440e6a71967d2f529bd5ba6ecafceacce0f40653898c1692b50a2a3d0ae43: they were damaged on the way, or the file changed during the upload; upload it again",
  },
  {
    name: "NaN among the weights",
    find: upload(dense, (planned) => toModel(planned, [withNumber(denseBytes, 13, Number.NaN)])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has NaN at row 2, column 3; weights must be finite float32 numbers',
  },
  {
    name: "infinity among the weights",
    find: upload(dense, (planned) => toModel(planned, [withNumber(denseBytes, 29, Number.POSITIVE_INFINITY)])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has Infinity at row 5, column 4; weights must be finite float32 numbers',
  },
  {
    name: "minus infinity among the weights, cut at every byte",
    find: upload(dense, (planned) =>
      toModel(planned, [withNumber(denseBytes, 0, Number.NEGATIVE_INFINITY)], { chunkBytes: 1 }),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has -Infinity at row 0, column 0; weights must be finite float32 numbers',
  },
  {
    name: "NaN in a float16 layer",
    find: upload(manifest([tensor("layer.weight", shape, Dtype.F16)]), (planned) => {
      const halves = new Uint16Array(30).fill(0x3c00);
      halves[11] = 0x7e00;
      return toModel(planned, [new Uint8Array(halves.buffer)]);
    }),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has NaN at row 2, column 1; weights must be finite float32 numbers',
  },
  {
    name: "NaN in an 8-bit layer",
    find: upload(manifest([tensor("layer.weight", shape, Dtype.F8_E4M3)]), (planned) =>
      toModel(planned, [new Uint8Array(30).fill(0x38).fill(0x7f, 4, 5)]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has NaN at row 0, column 4; weights must be finite float32 numbers',
  },
  {
    name: "a float64 number beyond float32",
    find: upload(manifest([tensor("layer.weight", shape, Dtype.F64)]), (planned) =>
      toModel(planned, [new Uint8Array(new Float64Array(30).fill(1e300, 8, 9).buffer)]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "layer.weight" has Infinity at row 1, column 3; weights must be finite float32 numbers',
  },
  {
    name: "NaN in a LoRA factor",
    find: upload(lora, (planned) =>
      toModel(planned, [loraBytes[0] ?? denseBytes, withNumber(loraBytes[1] ?? denseBytes, 5, Number.NaN)]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "mod.lora.up.weight" has NaN at row 2, column 1; weights must be finite float32 numbers',
  },
  {
    name: "weights whose projection overflows",
    find: upload(dense, (planned) => toModel(planned, [float32Bytes(new Float32Array(30).fill(3e38))])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message:
      'the projection of tensor "layer.weight" overflows float32: its numbers are finite but too large to be weights',
  },
  {
    name: "an alpha of NaN",
    find: upload(manifest([...(lora.tensors ?? []), tensor("mod.lora.alpha", [])]), (planned) =>
      toModel(planned, [float32Bytes(Float32Array.of(Number.NaN)), ...loraBytes]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "NON_FINITE",
    message: 'tensor "mod.lora.alpha" has NaN at row 0, column 0; weights must be finite float32 numbers',
  },
];
