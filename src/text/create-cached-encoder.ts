import { assertTexts } from "./assert-texts.js";
import { type EncodedText, fromEach, toEach, wordBytes } from "./encoded-text.js";
import { createLruCache } from "./lru-cache.js";
import type { TextEncoder } from "./text-encoder.js";

/**
 * What an entry takes besides its numbers and its text, in bytes, as measured with 100,000 entries: objects, a buffer of
 * its own, and a place in the map.
 */
const overheadBytes = 750;

/**
 * Puts a cache before an encoder: a text's vector is kept, and given again to who asks for the same text, until texts
 * that were asked for later have taken its place. Equal texts of one call are encoded once.
 *
 * Memory: `maxBytes`, about 4·d_text + 4·characters + 750 per text; one that takes more alone is not kept.
 */
export function createCachedEncoder(encoder: TextEncoder, maxBytes: number): TextEncoder {
  const entries = createLruCache<string, EncodedText>(maxBytes);

  const { identity, width, maxTokens } = encoder;
  return {
    identity,
    width,
    ...(maxTokens !== undefined && { maxTokens }),
    encode: async (texts, { signal } = {}) => {
      signal?.throwIfAborted();
      assertTexts(texts);
      const found = new Map<string, EncodedText>();
      const missing = new Set<string>();
      for (const text of texts) {
        const entry = found.get(text) ?? entries.get(text);
        if (entry === undefined) missing.add(text);
        else found.set(text, entry);
      }
      if (missing.size > 0) {
        const list = [...missing];
        const encoded = await encoder.encode(list, { signal });
        for (const [row, entry] of toEach(encoded).entries()) {
          const text = list[row] ?? "";
          found.set(text, entry);
          const bytes = toBytes(text, entry);
          if (bytes <= maxBytes) entries.set(text, entry, bytes);
        }
      }
      return fromEach(
        texts.map((text) => found.get(text) as EncodedText),
        width,
      );
    },
    dispose: async () => {
      entries.clear();
      await encoder.dispose();
    },
  };
}

function toBytes(text: string, encoded: EncodedText): number {
  return encoded.vector.byteLength + 2 * text.length + wordBytes(encoded) + overheadBytes;
}
