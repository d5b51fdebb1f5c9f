/**
 * Makes buffers for {@link StreamOptions.makeBuffer} that are two by turns: each piece is overwritten while the second one after
 * it is read. For who is done with a piece by the time they ask for that. Memory: two pieces.
 */
export function createTurningBuffers(): (length: number) => Uint8Array {
  const buffers: [Uint8Array, Uint8Array] = [new Uint8Array(0), new Uint8Array(0)];
  let turn: 0 | 1 = 0;
  return (length) => {
    turn = turn === 0 ? 1 : 0;
    if (buffers[turn].length < length) buffers[turn] = new Uint8Array(length);
    return buffers[turn].subarray(0, length);
  };
}
