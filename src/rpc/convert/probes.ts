import { createHash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { CorruptDataError, InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import type { ExpertProbes, ProbeTensor } from "../../experts/expert-probes.js";
import { maxCheckpointBytes } from "../../experts/stream-parameters.js";
import type {
  GetProbesResponseSchema,
  ExpertProbes as WireProbes,
} from "../../gen/probestream/v1/embedding_service_pb.js";
import type { LayerSpec } from "../../weights/layer.js";
import { fromWireLayer, toWireLayer } from "./expert.js";
import { toCount } from "./tensor.js";

/** Bytes of a chunk at most: what travels best, and far below what clients take. */
export const probesChunkBytes = 1024 * 1024 - 4096;

/** Tensors of one expert at most; `probex/1` has two. */
const maxProbeTensors = 16;

/** The messages that bring an expert's probes. */
export function* toProbesMessages(probes: ExpertProbes): Generator<MessageInitShape<typeof GetProbesResponseSchema>> {
  const { spaceId, name, accumulator, layer, tensors } = probes;
  const bytes = tensors.map(({ values }) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  const hash = createHash("sha256");
  for (const each of bytes) hash.update(each);
  const value = {
    spaceId,
    expertName: name,
    accumulator,
    layer: toWireLayer(layer),
    layerRows: BigInt(layer.shape.rows),
    layerColumns: BigInt(layer.shape.columns),
    tensors: tensors.map(({ name, rows, columns }) => ({ name, shape: [BigInt(rows), BigInt(columns)] })),
    sha256: new Uint8Array(hash.digest()),
  };
  yield { part: { case: "expert", value } };
  for (const each of bytes) {
    for (let at = 0; at < each.byteLength; at += probesChunkBytes) {
      yield { part: { case: "chunk", value: { data: each.subarray(at, at + probesChunkBytes) } } };
    }
  }
}

/** Probes that come from the wire, piece by piece. */
export interface IncomingProbes {
  /** Takes the next bytes; throws CorruptDataError `CORRUPT` if there are more than was announced. */
  add(data: Uint8Array): void;
  /** Throws CorruptDataError `CORRUPT` if they are not whole, or not what the server read. */
  finish(): ExpertProbes;
}

/**
 * Begins to take probes in.
 *
 * Memory: what the opening announces.
 *
 * @throws InvalidInputError `FORMAT_REFUSED` for a layer that this version has no word for, LimitExceededError
 * `LIMIT_EXCEEDED` for tensors larger than an expert's may be.
 */
export function createIncomingProbes(opening: WireProbes): IncomingProbes {
  const { spaceId, expertName, accumulator, sha256 } = opening;
  const layer = toLayerSpec(opening);
  const tensors = toTensors(opening);
  const targets = tensors.map(({ values }) => new Uint8Array(values.buffer));
  const hash = createHash("sha256");
  let [tensor, at] = [0, 0];
  const broken = (what: string): CorruptDataError =>
    new CorruptDataError("CORRUPT", `the probes of the expert "${expertName}" ${what}; fetch them again`, { spaceId });
  const skipFull = (): void => {
    while (tensor < targets.length && at === targets[tensor]?.byteLength) [tensor, at] = [tensor + 1, 0];
  };
  skipFull();
  return {
    add: (data) => {
      hash.update(data);
      let rest = data;
      while (rest.byteLength > 0) {
        const target = targets[tensor];
        if (target === undefined) throw broken("have more bytes than their shapes say");
        const count = Math.min(rest.byteLength, target.byteLength - at);
        target.set(rest.subarray(0, count), at);
        rest = rest.subarray(count);
        at += count;
        skipFull();
      }
    },
    finish: () => {
      if (tensor < targets.length) throw broken("ended early");
      if (!hash.digest().equals(sha256)) throw broken("were damaged on the way");
      return { spaceId, name: expertName, accumulator, layer, tensors };
    },
  };
}

function toLayerSpec({ expertName, layer, layerRows, layerColumns }: WireProbes): LayerSpec {
  const info = fromWireLayer(layer, toCount(layerRows, "layer_rows"), toCount(layerColumns, "layer_columns"));
  const { module, kind, layout, loraScale, rows, shape } = info;
  if (kind === "unknown" || layout === "unknown" || loraScale === "unknown") {
    const message = `the expert "${expertName}" reads a layer of a kind that this version does not know; install a newer one, or stream the weights`;
    throw new InvalidInputError("FORMAT_REFUSED", message, { expert: expertName });
  }
  return { module, kind, layout, loraScale, shape, ...(rows !== undefined && { rows }) };
}

/** Tensors with memory for their numbers, in the order of their bytes. */
function toTensors({ expertName, tensors }: WireProbes): ProbeTensor[] {
  const shapes = tensors.map(({ name, shape }) => {
    const [rows = 1, columns = 1] = shape.map((extent) => toCount(extent, `the shape of "${name}"`));
    return { name, rows, columns, dimensions: shape.length };
  });
  const bytes = shapes.reduce((sum, { rows, columns }) => sum + rows * columns * Float32Array.BYTES_PER_ELEMENT, 0);
  if (
    bytes > maxCheckpointBytes ||
    tensors.length > maxProbeTensors ||
    shapes.some(({ dimensions }) => dimensions > 2)
  ) {
    const message = `the probes of the expert "${expertName}" are ${tensors.length} tensors of ${bytes} bytes; matrices of ${maxCheckpointBytes} bytes together are taken at most`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { bytes, limit: maxCheckpointBytes });
  }
  return shapes.map(({ name, rows, columns }) => ({ name, rows, columns, values: new Float32Array(rows * columns) }));
}
