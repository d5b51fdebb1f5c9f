/**
 * Bytes per segment: the grain of digests and of resumption. The running sums are checkpointed where a segment ends,
 * so an interrupted upload loses at most this much and what was in flight. A multiple of every element size.
 */
export const segmentBytes = 8 * 1024 * 1024;

/** End of the segment that holds byte `offset` of a range of `length` bytes. */
export function segmentEnd(offset: number, length: number): number {
  return Math.min((Math.floor(offset / segmentBytes) + 1) * segmentBytes, length);
}

/** Whether an upload can go on at `offset` of a range of `length` bytes. */
export function isResumePoint(offset: number, length: number): boolean {
  return offset === length || (offset < length && offset % segmentBytes === 0);
}
