import { Dtype } from "../../../src/gen/probestream/v1/types_pb.js";
import { toChunks, toHeader } from "../../helpers/rpc-messages.js";
import { dense, lora, manifest, shape, tensor } from "./models.js";
import { fails, plan } from "./refusals.js";
import type { Context, Row } from "./row.js";

/** Models that no plan is made for. */
export const planRows: readonly Row[] = [
  {
    name: "no manifests",
    find: fails((client) => client.plan()),
    of: "call",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "the request has 0 manifests; 1 to 8 are planned at a time",
  },
  {
    name: "more manifests than allowed",
    find: fails((client) => client.plan(...Array.from({ length: 9 }, () => dense))),
    of: "call",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "the request has 9 manifests; 1 to 8 are planned at a time",
  },
  {
    name: "a manifest of more tensors than allowed",
    find: plan(manifest(Array.from({ length: 17 }, (_, i) => tensor(`t${i}`, [1])))),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: 'the manifest of "m" has 17 tensors; 16 are allowed. Leave out those of other layers',
  },
  {
    name: "a tensor twice in a manifest",
    find: plan(manifest([tensor("layer.weight", shape), tensor("layer.weight", shape)])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DUPLICATE",
    message: 'tensor "layer.weight" stands twice in the manifest',
  },
  {
    name: "a model id that is too long",
    find: plan({ ...dense, modelId: "m".repeat(1025) }),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "model_id has 1025 characters; 1024 are allowed",
  },
  {
    name: "a tensor name that is too long",
    find: plan(manifest([tensor("t".repeat(1025), [1])])),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: "a tensor's name has 1025 characters; 1024 are allowed",
  },
  {
    name: "an upload id that is too short",
    find: plan({ ...dense, uploadId: "short" }),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "upload_id has 5 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
  },
  {
    name: "an upload id with a character that file names may not have",
    find: plan({ ...dense, uploadId: "../../../etc/passwd" }),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "upload_id has 19 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
  },
  {
    name: "a tensor of too many dimensions",
    find: plan(manifest([tensor("layer.weight", [1, 1, 1, 1, 1, 1, 1, 6, 5])])),
    of: "model",
    code: "RESOURCE_EXHAUSTED",
    reason: "LIMIT_EXCEEDED",
    message: 'tensor "layer.weight" has 9 dimensions; 8 are read at most',
  },
  {
    name: "a shape whose product overflows",
    find: plan(manifest([tensor("layer.weight", [2n ** 40n, 2n ** 40n])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: 'tensor "layer.weight" has shape [1099511627776, 1099511627776], too large to count',
  },
  {
    name: "an extent of 2^64 - 1",
    find: plan(manifest([tensor("layer.weight", [2n ** 64n - 1n, 0])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: 'tensor "layer.weight" has shape [18446744073709551615, 0], too large to count',
  },
  {
    name: "a linear layer of the wrong height",
    find: plan(manifest([tensor("layer.weight", [7, 5])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "layer.weight" has the shape [7,5], read as a matrix of 7 rows; the expert reads 6. It may belong to another model tree. (for the expert "dense")',
  },
  {
    name: "a linear layer of the wrong width",
    find: plan(manifest([tensor("layer.weight", [6, 4])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "layer.weight" has the shape [6,4], read as a matrix of 4 columns; the expert reads 5. It may belong to another model tree. (for the expert "dense")',
  },
  {
    name: "a linear layer of one dimension",
    find: plan(manifest([tensor("layer.weight", [30])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "layer.weight" has the shape [30]; the layout "linear" reads [out, in], [out, in, 1] or [out, in, 1, 1]. (for the expert "dense")',
  },
  {
    name: "a transposed layer that is not",
    find: plan(manifest([tensor("gpt.weight", [6, 5])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "gpt.weight" has the shape [6,5], read as a matrix of 6 rows; the expert reads 5. It may belong to another model tree. (for the expert "transposed")',
  },
  {
    name: "a convolution of two dimensions",
    find: plan(manifest([tensor("conv.weight", [8, 4])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "conv.weight" has the shape [8,4]; the layout "conv" reads [out, in, kh, kw]. (for the expert "conv")',
  },
  {
    name: "a convolution of another kernel",
    find: plan(manifest([tensor("conv.weight", [4, 2, 3, 3])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "conv.weight" has the shape [4,2,3,3], read as a matrix of 18 rows; the expert reads 8. It may belong to another model tree. (for the expert "conv")',
  },
  {
    name: "a vector of two dimensions",
    find: plan(manifest([tensor("bias", [6, 1])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: 'Tensor "bias" has the shape [6,1]; the layout "vector" reads [n]. (for the expert "vector")',
  },
  {
    name: "a packed layer that ends before the slice does",
    find: plan(manifest([tensor("qkv.weight", [11, 5])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'Tensor "qkv.weight" has the shape [11,5], read as a matrix of 11 rows; the expert reads at least 12. It may belong to another model tree. (for the expert "packed")',
  },
  {
    name: "LoRA factors of different rank",
    find: plan(manifest([tensor("mod.lora.down.weight", [2, 5]), tensor("mod.lora.up.weight", [6, 3])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'The LoRA factors of "mod" have the shapes [2,5] and [6,3]; their rank must be the same, from 1 to 4096. (for the expert "lora")',
  },
  {
    name: "LoRA factors of rank 0",
    find: plan(manifest([tensor("mod.lora.down.weight", [0, 5]), tensor("mod.lora.up.weight", [6, 0])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'The LoRA factors of "mod" have the shapes [0,5] and [6,0]; their rank must be the same, from 1 to 4096. (for the expert "lora")',
  },
  {
    name: "an alpha that is a vector",
    find: plan(manifest([...(lora.tensors ?? []), tensor("mod.lora.alpha", [3])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message: 'Tensor "mod.lora.alpha" has the shape [3]; an alpha is one number, [] or [1]. (for the expert "lora")',
  },
  {
    name: "the same LoRA layer under two conventions",
    find: plan(
      manifest([...(lora.tensors ?? []), tensor("mod.lora_A.weight", [2, 5]), tensor("mod.lora_B.weight", [6, 2])]),
    ),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DUPLICATE",
    message:
      'The model has two LoRA layers for "mod": "mod.lora.down.weight" and "mod.lora_A.weight"; remove one. (for the expert "lora")',
  },
  {
    name: "an integer layer",
    find: plan(manifest([tensor("layer.weight", shape, Dtype.UNSPECIFIED)])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DTYPE_UNSUPPORTED",
    message:
      'Tensor "layer.weight" has the type "unspecified"; accepted are F64, F32, F16, BF16, F8_E4M3, F8_E5M2. Save it as one of these. (for the expert "dense")',
  },
  {
    name: "an 8-bit layer whose scale is per block",
    find: plan(manifest([tensor("layer.weight", shape, Dtype.F8_E4M3), tensor("layer.weight_scale", [2, 2])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "SHAPE_MISMATCH",
    message:
      'The scale "layer.weight_scale" has the shape [2,2]; "layer.weight" can be read with one number, or one for each row, [6] or [6, 1]. Save the model as F16 or BF16. (for the expert "dense")',
  },
  {
    name: "an 8-bit layer with a scale of unknown meaning",
    find: plan(manifest([tensor("layer.weight", shape, Dtype.F8_E4M3), tensor("layer.weight_scale_block", [1])])),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DTYPE_UNSUPPORTED",
    message:
      'The 8-bit weight "layer.weight" has a companion "layer.weight_scale_block", whose meaning is unknown; a scale is called weight_scale, weight_scale_inv or scale_weight. Save the model as F16 or BF16. (for the expert "dense")',
  },
  {
    name: "a model without the layer that the named expert reads",
    find: plan(manifest([tensor("other.weight", shape)], { experts: ["dense"] })),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message:
      'The model has no tensor "layer" or "layer.weight"; the nearest are "other.weight". It may belong to another model tree.',
  },
  {
    name: "a model that no expert reads",
    find: plan(manifest([tensor("other.weight", shape)])),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message:
      "none of the 10 experts finds its layer among the model's 1 tensors: classifier reads dense classified [6, 5]; conv reads dense conv [8, 4]; dense reads dense layer [6, 5]; large reads dense large [2048, 1100]; lora reads lora mod [6, 5]",
  },
  {
    name: "a model without tensors",
    find: plan(manifest([], { experts: ["lora"] })),
    of: "model",
    code: "NOT_FOUND",
    reason: "LAYER_NOT_FOUND",
    message: 'The model has no LoRA layer "mod", nor any LoRA layer. It may belong to another model tree.',
  },
  {
    name: "an expert that does not exist",
    find: plan({ ...dense, experts: ["nobody"] }),
    of: "model",
    code: "NOT_FOUND",
    reason: "EXPERT_NOT_FOUND",
    message:
      'no expert "nobody" in the catalogue; it has classifier, conv, dense, large, lora, packed, transposed, twin-a, twin-b, vector',
  },
  {
    name: "an empty name of an expert",
    find: plan({ ...dense, experts: [""] }),
    of: "model",
    code: "NOT_FOUND",
    reason: "EXPERT_NOT_FOUND",
    message:
      'no expert "" in the catalogue; it has classifier, conv, dense, large, lora, packed, transposed, twin-a, twin-b, vector',
  },
  {
    name: "two experts that fit",
    find: plan(manifest([tensor("twin.weight", shape)])),
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "EXPERT_AMBIGUOUS",
    message:
      "2 experts fit the model: twin-a (ff7cd00509fb), twin-b (32627d6a10f0); name one of them (`experts` of the manifest, --expert), or calibrate them (`probestream experts calibrate`) so that the weights choose: twin-a (ff7cd00509fb) was not",
  },
  {
    name: "the same expert twice",
    find: plan({ ...dense, experts: ["dense", "dense"] }),
    of: "model",
    code: "INVALID_ARGUMENT",
    reason: "DUPLICATE",
    message: "the expert dense (6abf29ce949b) is asked for twice",
  },
  {
    name: "an upload id that belongs to another model",
    find: async ({ client }) => {
      const uploadId = "an-upload-of-two-models";
      const planned = await client.planOne(manifest([tensor("large.weight", [2048, 1100])], { uploadId }));
      // More than one segment, so that there is something to resume.
      await client.upload([toHeader(planned), ...toChunks(0, new Uint8Array(2050 * 4096), 4096)]);
      return plan({ ...dense, uploadId })({ client } as Context);
    },
    of: "model",
    code: "FAILED_PRECONDITION",
    reason: "UPLOAD_MISMATCH",
    message:
      'the upload id "an-upload-of-two-models" belongs to another model, other ranges or another expert; choose a new id',
  },
];
