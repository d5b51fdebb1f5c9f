import type { Matrix } from "../compute/compute-backend.js";
import { CorruptDataError } from "../errors/probestream-error.js";
import { createTurningBuffers } from "../weights/turning-buffers.js";
import type { ModelPlan, PortStream } from "./embed-port.js";
import { type Upload, wantedBytes } from "./upload.js";
import { createUploadDigest, haveDigests } from "./upload-digest.js";

/** A model could not be read on this side; its stream is sound. */
export class SourceFailure extends Error {
  constructor(cause: unknown) {
    super("a model could not be read", { cause });
  }
}

/** What {@link sendModel} needs besides the model. */
export interface SendOptions {
  /** Sent with the header where given. */
  readonly texts: Matrix | undefined;
  readonly signal: AbortSignal;
  /** Hears of each chunk's length. */
  readonly onSent: (bytes: number) => void;
}

/**
 * Checks that what an earlier upload brought is what the file holds. Local files are read again, which is cheaper than
 * to find out at the end; of remote ones, whose state their ETag tells, the other side's digests are believed.
 *
 * @throws SourceFailure with `DIGEST_MISMATCH`, or with what reading throws.
 */
export async function checkStart({ model }: Upload, plan: ModelPlan, signal: AbortSignal): Promise<void> {
  if (model.remote) return;
  for (const [index, { offset, segmentDigests }] of plan.starts.entries()) {
    const range = plan.tensors[index];
    if (offset === 0 || range === undefined) continue;
    const { name } = range.tensor;
    const bytes = model.streamTensor(name, range.beginByte, range.beginByte + offset, {
      makeBuffer: createTurningBuffers(),
      signal,
    });
    const areEqual = await haveDigests(bytes, segmentDigests).catch((cause: unknown) => {
      throw new SourceFailure(cause);
    });
    if (areEqual) continue;
    const message = `the first ${offset} bytes of "${name}" are not those of the upload that was to be resumed`;
    throw new SourceFailure(new CorruptDataError("DIGEST_MISMATCH", message, { tensor: name, offset }));
  }
}

/**
 * Sends one model: header, chunks, footer. Stops where the other side has answered already.
 *
 * Memory: two chunks.
 *
 * @throws SourceFailure if the model cannot be read to its end: its stream takes no further model. Anything else is a
 * failure of the stream.
 */
export async function sendModel(
  stream: PortStream,
  { model, modelId, facts }: Upload,
  plan: ModelPlan,
  { texts, signal, onSent }: SendOptions,
): Promise<void> {
  await stream.header(modelId, plan, texts, facts);
  const digest = createUploadDigest();
  // One is read while the other is sent, which copies it.
  const makeBuffer = createTurningBuffers();
  for (const [index, { tensor, beginByte, endByte }] of plan.tensors.entries()) {
    const { offset: start, segmentDigests } = plan.starts[index] ?? { offset: 0, segmentDigests: new Uint8Array(0) };
    digest.addSegments(segmentDigests);
    let offset = start;
    const options = { chunkBytes: plan.chunkBytes, makeBuffer, signal };
    for await (const bytes of readAhead(model.streamTensor(tensor.name, beginByte + start, endByte, options))) {
      if (stream.answered) return;
      signal.throwIfAborted();
      digest.update(bytes);
      await stream.chunk(index, offset, bytes);
      offset += bytes.byteLength;
      onSent(bytes.byteLength);
    }
    digest.endRange();
  }
  await stream.footer(wantedBytes(plan), digest.finish());
}

/** Reads the next chunk while the last one is sent. */
async function* readAhead(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const read = async (): Promise<IteratorResult<Uint8Array, unknown>> => {
    try {
      return await iterator.next();
    } catch (cause) {
      throw new SourceFailure(cause);
    }
  };
  let next = read();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done === true) return;
      next = read();
      // It is awaited in the next turn, if there is one.
      next.catch(() => {});
      yield value;
    }
  } finally {
    await iterator.return?.();
  }
}
