import { toChunk, toFooter, toHeader, toModel } from "../../helpers/rpc-messages.js";
import { dense, denseBytes, lora, loraBytes, shape, tensor } from "./models.js";
import { upload } from "./refusals.js";
import type { Row } from "./row.js";

/** A matrix of text vectors for a header. */
function texts(rows: number, columns: number, dataBytes = rows * columns * 4, fill = 1) {
  const values = new Float32Array(Math.ceil(dataBytes / 4)).fill(fill);
  return { textVectors: { rows, columns, data: new Uint8Array(values.buffer, 0, dataBytes) } };
}

/** Uploads whose messages come in the wrong order, whose headers are not those of the plan, or whose texts are wrong. */
export const headerRows: readonly Row[] = [
  {
    name: "a chunk before the header",
    find: upload(dense, () => [toChunk(0, 0, denseBytes)]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: "a chunk came before any header; open the model first",
  },
  {
    name: "a footer before the header",
    find: upload(dense, () => [toFooter(0)]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: "a footer came before any header; open the model first",
  },
  {
    name: "a second header before the footer",
    find: upload(dense, (planned) => [toHeader(planned), toHeader(planned)]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: 'a header came while model "m" is still open; send its footer first',
  },
  {
    name: "a chunk after the footer",
    find: upload(dense, (planned) => [...toModel(planned, [denseBytes]), toChunk(0, 0, denseBytes)]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: "a chunk came before any header; open the model first",
  },
  {
    name: "a message without a part",
    find: upload(dense, (planned) => [toHeader(planned), {}]),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "STREAM_ORDER",
    message: "a message holds neither header nor chunk nor footer",
  },
  {
    name: "bytes that are no message",
    find: upload(dense, () => [Buffer.from([0xff, 0xff, 0xff])]),
    of: "call",
    code: "INTERNAL",
    reason: undefined,
    message: "Error deserializing request",
  },
  {
    name: "a message of more than 4 MiB",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, new Uint8Array(4 * 1024 * 1024))]),
    of: "call",
    code: "RESOURCE_EXHAUSTED",
    reason: undefined,
    message: "Received message larger than max (4194314 vs 4194304)",
  },
  {
    name: "a stream that ends without a footer",
    find: upload(dense, (planned) => [toHeader(planned), toChunk(0, 0, denseBytes)]),
    of: "model",
    code: "ABORTED",
    reason: "FOOTER_MISSING",
    message: 'the stream ended before the footer of model "m"; nothing of it was committed',
  },
  {
    name: "a header without an upload id",
    find: upload(dense, (planned) => [toHeader(planned, { uploadId: "" })]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "upload_id has 0 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
  },
  {
    name: "a header with an upload id of 129 characters",
    find: upload(dense, (planned) => [toHeader(planned, { uploadId: "u".repeat(129) })]),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "upload_id has 129 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
  },
  {
    name: "a header with a model id that is too long",
    find: upload(dense, (planned) => [toHeader(planned, { modelId: "m".repeat(2000) })]),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "model_id has 2000 characters; 1024 are allowed",
  },
  {
    name: "a header without space ids",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { spaceIds: [] } })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "the header has no space_ids; copy those of the plan's targets",
  },
  {
    name: "a header with an unknown space id",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { spaceIds: ["0".repeat(64)] } })),
    of: "model",
    code: "NOT_FOUND",
    reason: "EXPERT_NOT_FOUND",
    message:
      'no expert "0000000000000000000000000000000000000000000000000000000000000000" in the catalogue; it has classifier, conv, dense, large, lora, packed, transposed, twin-a, twin-b, vector',
  },
  {
    name: "a header without tensors",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { tensors: [] } })),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message: 'The model has no tensor "layer" or "layer.weight". It may belong to another model tree.',
  },
  {
    name: "a header with a range of no tensor",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { tensors: [{ endByte: 120n }] } })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "header.tensors[0].tensor is not set",
  },
  {
    name: "a header with another tensor than planned",
    find: upload(dense, (planned) =>
      toModel(planned, [denseBytes], {
        header: { tensors: [{ tensor: tensor("other.weight", shape), endByte: 120n }] },
      }),
    ),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message:
      'The model has no tensor "layer" or "layer.weight"; the nearest are "other.weight". It may belong to another model tree.',
  },
  {
    name: "a header with one tensor too many",
    find: upload(dense, (planned) =>
      toModel(planned, [denseBytes], {
        header: { tensors: [...planned.tensors, { tensor: tensor("other.weight", shape), endByte: 120n }] },
      }),
    ),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "PLAN_STALE",
    message:
      'the header\'s tensors are not those of the plan, which wants, in this order: "layer.weight" 0 to 120; copy them from PlanEmbedding',
  },
  {
    name: "a header with half the range",
    find: upload(dense, (planned) =>
      toModel(planned, [denseBytes], {
        header: { tensors: [{ tensor: tensor("layer.weight", shape), endByte: 60n }] },
      }),
    ),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "PLAN_STALE",
    message:
      'the header\'s tensors are not those of the plan, which wants, in this order: "layer.weight" 0 to 120; copy them from PlanEmbedding',
  },
  {
    name: "a header with a range beyond 2^53",
    find: upload(dense, (planned) =>
      toModel(planned, [denseBytes], {
        header: { tensors: [{ tensor: tensor("layer.weight", shape), endByte: 2n ** 63n }] },
      }),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "end_byte is 9223372036854775808; it can be 2^53 - 1 at most",
  },
  {
    name: "a header with the tensors in another order",
    find: upload(lora, (planned) =>
      toModel(planned, loraBytes, { header: { tensors: [...planned.tensors].reverse() } }),
    ),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "PLAN_STALE",
    message:
      'the header\'s tensors are not those of the plan, which wants, in this order: "mod.lora.down.weight" 0 to 40, "mod.lora.up.weight" 0 to 48; copy them from PlanEmbedding',
  },
  {
    name: "a start offset that no upload reached",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { startOffsets: [120n] } })),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "UPLOAD_MISMATCH",
    message:
      'start_offsets[0] is 120, but the server can go on from 0 of 120 bytes of "layer.weight" at most; ask PlanEmbedding again with the upload id',
  },
  {
    name: "a start offset in the middle of a segment",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { startOffsets: [60n] } })),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "UPLOAD_MISMATCH",
    message:
      'start_offsets[0] is 60, but the server can go on from 0 of 120 bytes of "layer.weight" at most; ask PlanEmbedding again with the upload id',
  },
  {
    name: "a start offset behind the range",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: { startOffsets: [8388608n] } })),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "UPLOAD_MISMATCH",
    message:
      'start_offsets[0] is 8388608, but the server can go on from 0 of 120 bytes of "layer.weight" at most; ask PlanEmbedding again with the upload id',
  },
  {
    name: "text vectors of another width",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(2, 7) })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "TEXT_WIDTH_MISMATCH",
    message: "text vectors are 7 wide, the expert compares with 6: use the text encoder it was trained with",
  },
  {
    name: "text vectors of too few bytes",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(2, 6, 47) })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: "text_vectors.data has 47 bytes; 2 × 6 float32 numbers take 48",
  },
  {
    name: "text vectors without columns",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(2, 0) })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: "text_vectors has 2 rows of 0 columns; a text vector is as wide as the expert's text_width",
  },
  {
    name: "more text vectors than allowed",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(11, 6) })),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "11 text vectors were sent; 10 are allowed",
  },
  {
    name: "text vectors with NaN",
    find: upload(dense, (planned) => toModel(planned, [denseBytes], { header: texts(2, 6, 48, Number.NaN) })),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "text vectors hold NaN or infinity; they must be finite",
  },
];
