import { malformedPickle } from "./pickle-errors.js";

/** Reads the arguments of a pickle's opcodes, one after another, never past the end. */
export class PickleCursor {
  readonly #bytes: Buffer;
  readonly #file: string;
  #position = 0;

  constructor(bytes: Uint8Array, file: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
  }

  get position(): number {
    return this.#position;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16LE(this.#advance(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.#advance(4));
  }

  int32(): number {
    return this.#bytes.readInt32LE(this.#advance(4));
  }

  /** A length of 64 bits; one that no file can have counts as beyond the end. */
  length64(): number {
    return Number(this.#bytes.readBigUInt64LE(this.#advance(8)));
  }

  /** The one number in a pickle that is stored with the high byte first. */
  float64(): number {
    return this.#bytes.readDoubleBE(this.#advance(8));
  }

  bytes(length: number): Uint8Array {
    const begin = this.#advance(length);
    return this.#bytes.subarray(begin, begin + length);
  }

  text(length: number): string {
    const begin = this.#advance(length);
    return this.#bytes.toString("utf8", begin, begin + length);
  }

  /** Up to the next line feed, which is passed over. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end === -1) throw this.#ended();
    const text = this.#bytes.toString("utf8", this.#position, end);
    this.#position = end + 1;
    return text;
  }

  /** A whole number of so many bytes, two's complement, low byte first. */
  integer(length: number): number | bigint {
    const hex = Buffer.from(this.bytes(length)).reverse().toString("hex");
    const value = hex === "" ? 0n : BigInt.asIntN(8 * length, BigInt(`0x${hex}`));
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #advance(length: number): number {
    const begin = this.#position;
    if (length > this.#bytes.length - begin) throw this.#ended();
    this.#position = begin + length;
    return begin;
  }

  #ended(): Error {
    return malformedPickle(this.#file, `it ends in the middle, at byte ${this.#bytes.length}`);
  }
}
