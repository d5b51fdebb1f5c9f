import { createHash, type Hash } from "node:crypto";
import { digestBytes } from "../projection/range-reader.js";
import { segmentBytes } from "../projection/segments.js";

/**
 * Digest of an upload, as its footer carries it: SHA-256 over the SHA-256 digests of the 8 MiB segments of each range,
 * in order. Segments rather than one running hash, because an upload that is resumed must be able to go on with it.
 */
export interface UploadDigest {
  /** Adds bytes of the range under way, in order, cut anywhere. */
  update(bytes: Uint8Array): void;
  /** Adds segments whose digests are known, 32 bytes each. Only where a segment begins. */
  addSegments(digests: Uint8Array): void;
  /** Ends a range; its last segment may be shorter. */
  endRange(): void;
  /** The digest of all ranges, 32 bytes. */
  finish(): Uint8Array;
}

/** Starts a digest. */
export function createUploadDigest(): UploadDigest {
  const all = createHash("sha256");
  const segments = createSegmentHasher((digest) => all.update(digest));
  return {
    update: segments.update,
    addSegments: (digests) => {
      all.update(digests);
    },
    endRange: segments.end,
    finish: () => all.digest(),
  };
}

/** Whether the bytes of a range up to a segment's end have these digests, one after another. */
export async function haveDigests(bytes: AsyncIterable<Uint8Array>, digests: Uint8Array): Promise<boolean> {
  const found: Buffer[] = [];
  const segments = createSegmentHasher((digest) => found.push(digest));
  for await (const piece of bytes) segments.update(piece);
  segments.end();
  return found.length * digestBytes === digests.byteLength && Buffer.concat(found).equals(digests);
}

function createSegmentHasher(emit: (digest: Buffer) => void): { update(bytes: Uint8Array): void; end(): void } {
  let hash: Hash | undefined;
  let filled = 0;
  const end = (): void => {
    if (hash !== undefined) emit(hash.digest());
    hash = undefined;
    filled = 0;
  };
  return {
    update: (bytes) => {
      for (let at = 0; at < bytes.byteLength; ) {
        const piece = bytes.subarray(at, at + segmentBytes - filled);
        hash ??= createHash("sha256");
        hash.update(piece);
        filled += piece.byteLength;
        at += piece.byteLength;
        if (filled === segmentBytes) end();
      }
    },
    end,
  };
}
