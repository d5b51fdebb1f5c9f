import { assertRange, type ByteSource, type StreamOptions, toChunkBytes } from "./byte-source.js";

/** A source over bytes that are in memory already. Memory: the bytes, which are kept, not copied. */
export function createMemorySource(content: Uint8Array, name: string, fingerprint = name): ByteSource {
  // `slice` of a Buffer would be a view: what is read must have memory of its own.
  const bytes = new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
  return {
    name,
    size: bytes.length,
    fingerprint,
    isIdentified: true,
    async read(begin, end, signal) {
      signal?.throwIfAborted();
      assertRange(begin, end, bytes.length, `"${name}"`);
      return bytes.slice(begin, end);
    },
    async *stream(begin: number, end: number, options?: StreamOptions) {
      assertRange(begin, end, bytes.length, `"${name}"`);
      const chunkBytes = toChunkBytes(options);
      for (let at = begin; at < end; at += chunkBytes) {
        options?.signal?.throwIfAborted();
        yield bytes.slice(at, Math.min(end, at + chunkBytes));
      }
    },
    async close() {},
  };
}
