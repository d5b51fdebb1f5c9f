/**
 * Sign of an index under a seed, 1 or −1: the lowest bit of the 32-bit finaliser of MurmurHash3 (Austin Appleby, public
 * domain), so that it is the same in every language and needs no table.
 */
export function toSign(seed: number, index: number): 1 | -1 {
  let word = Math.imul(index + 1, 0x9e3779b1) ^ seed;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return ((word ^ (word >>> 16)) & 1) === 0 ? 1 : -1;
}
