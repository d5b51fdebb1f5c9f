import { assertRange, type ByteSource, makeNewBuffer, type StreamOptions, toChunkBytes } from "./byte-source.js";

/** What a memory source may be told beside its content. */
export interface MemorySourceOptions {
  /** See {@link ByteSource.fingerprint}. Default the name. */
  readonly fingerprint?: string;
  /** See {@link ByteSource.isIdentified}. Default true. */
  readonly isIdentified?: boolean;
}

/**
 * A source over bytes that are in memory already, in one piece or in several that count as one after another. Memory: the
 * bytes, which are kept, not copied.
 */
export function createMemorySource(
  content: Uint8Array | readonly Uint8Array[],
  name: string,
  { fingerprint = name, isIdentified = true }: MemorySourceOptions = {},
): ByteSource {
  const pieces: { readonly begin: number; readonly bytes: Uint8Array }[] = [];
  let size = 0;
  for (const bytes of content instanceof Uint8Array ? [content] : content) {
    pieces.push({ begin: size, bytes });
    size += bytes.length;
  }
  // What is read must have memory of its own; `slice` of a Buffer would be a view.
  const copy = (begin: number, end: number, makeBuffer = makeNewBuffer): Uint8Array => {
    const copied = makeBuffer(end - begin);
    for (const piece of pieces) {
      const from = Math.max(begin, piece.begin);
      const part = piece.bytes.subarray(from - piece.begin, Math.max(from, end) - piece.begin);
      if (part.length > 0) copied.set(part, from - begin);
    }
    return copied;
  };
  return {
    name,
    size,
    fingerprint,
    isIdentified,
    async read(begin, end, signal) {
      signal?.throwIfAborted();
      assertRange(begin, end, size, `"${name}"`);
      return copy(begin, end);
    },
    async *stream(begin: number, end: number, options?: StreamOptions) {
      assertRange(begin, end, size, `"${name}"`);
      const chunkBytes = toChunkBytes(options);
      for (let at = begin; at < end; at += chunkBytes) {
        options?.signal?.throwIfAborted();
        yield copy(at, Math.min(end, at + chunkBytes), options?.makeBuffer);
      }
    },
    async close() {},
  };
}
