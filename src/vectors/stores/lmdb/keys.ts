/** Bytes of a number in a key. */
const numberBytes = 4;

/** A number as a key's bytes, or the part of one. */
export function toNumberKey(number: number): Buffer {
  const key = Buffer.allocUnsafe(numberBytes);
  key.writeUInt32BE(number);
  return key;
}

/** Key of a record. */
export function toRecordKey(space: number, id: string): Buffer {
  return toSpaceKey(space, Buffer.from(id));
}

/** Id of a record, from its key. */
export function toId(key: Buffer): string {
  return key.toString("utf8", numberBytes);
}

/** Key of a slot's vector. */
export function toSlotKey(space: number, slot: number): Buffer {
  const key = Buffer.allocUnsafe(2 * numberBytes);
  key.writeUInt32BE(space);
  key.writeUInt32BE(slot, numberBytes);
  return key;
}

/** Slot, from the key of its vector. */
export function toSlot(key: Buffer): number {
  return key.readUInt32BE(numberBytes);
}

/** Key of a hash of weights: of all records that have it, or of one. */
export function toWeightsKey(space: number, weightsHash: string, id = ""): Buffer {
  return toSpaceKey(space, Buffer.from(weightsHash, "hex"), Buffer.from(id));
}

/** Id of a record, from its key in the table of weights. */
export function toIdOfWeights(key: Buffer): string {
  return key.toString("utf8", numberBytes + 32);
}

/** Key of the count of a field's values of a type. */
export function toFieldKey(space: number, field: string, type: string): Buffer {
  return toSpaceKey(space, Buffer.from(`${field}\0${type}`));
}

/** Field and type, from their key. */
export function toField(key: Buffer): readonly [field: string, type: string] {
  const [field = "", type = ""] = key.toString("utf8", numberBytes).split("\0");
  return [field, type];
}

/** Key of a change. */
export function toChangeKey(sequence: number): Buffer {
  const key = Buffer.alloc(8);
  key.writeUIntBE(sequence, 2, 6);
  return key;
}

/** Number of a change, from its key. */
export function toSequence(key: Buffer): number {
  return key.readUIntBE(2, 6);
}

/** All keys of a space: from its number to the next one. */
export function toSpaceRange(space: number): { readonly start: Buffer; readonly end: Buffer } {
  return { start: toNumberKey(space), end: toNumberKey(space + 1) };
}

/** The least key after all that begin with a prefix, whose bytes are not all 255. */
export function afterPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let at = end.length - 1; at >= 0; at--) {
    const byte = end[at] as number;
    if (byte < 255) {
      end[at] = byte + 1;
      return end.subarray(0, at + 1);
    }
  }
  return Buffer.concat([prefix, Buffer.alloc(64, 255)]);
}

/** The least key after another. */
export function afterKey(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)]);
}

function toSpaceKey(space: number, ...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([toNumberKey(space), ...parts]);
}
