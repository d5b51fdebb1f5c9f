/** A class or function that a pickle names. It is a name only: nothing is ever looked up or called by it. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** Where the numbers of tensors lie: an entry `data/<key>` of the archive. */
export class PickleStorage {
  readonly key: string;
  /** Element type by the name that safetensors has for it; undefined for a storage of bytes without a type. */
  readonly dtype: string | undefined;

  constructor(key: string, dtype: string | undefined) {
    this.key = key;
    this.dtype = dtype;
  }
}

/** A tensor as a pickle describes it: a window on a storage. */
export class PickleTensor {
  readonly storage: PickleStorage;
  /** First element, counted from the storage's first. */
  readonly offset: number;
  readonly shape: readonly number[];
  /** Elements from one index to the next, per axis. */
  readonly strides: readonly number[];

  constructor(storage: PickleStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** What a pickle can be made of here: plain data, and tensors that are described, not read. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | PickleGlobal
  | PickleStorage
  | PickleTensor;
