import { malformedPickle, refusedPickle } from "./pickle-errors.js";
import { PickleGlobal, PickleStorage, PickleTensor, type PickleValue } from "./pickle-values.js";

/** Types of PyTorch's storages, by the names that safetensors has for them. */
const storageDtypes: ReadonlyMap<string, string> = new Map([
  ["torch.DoubleStorage", "F64"],
  ["torch.FloatStorage", "F32"],
  ["torch.HalfStorage", "F16"],
  ["torch.BFloat16Storage", "BF16"],
  ["torch.LongStorage", "I64"],
  ["torch.IntStorage", "I32"],
  ["torch.ShortStorage", "I16"],
  ["torch.CharStorage", "I8"],
  ["torch.ByteStorage", "U8"],
  ["torch.BoolStorage", "BOOL"],
]);

/** The same for `torch.<dtype>`, which tensors of untyped storages name. */
const dtypes: ReadonlyMap<string, string> = new Map([
  ["torch.float64", "F64"],
  ["torch.float32", "F32"],
  ["torch.float16", "F16"],
  ["torch.bfloat16", "BF16"],
  ["torch.float8_e4m3fn", "F8_E4M3"],
  ["torch.float8_e5m2", "F8_E5M2"],
  ["torch.float8_e4m3fnuz", "F8_E4M3FNUZ"],
  ["torch.float8_e5m2fnuz", "F8_E5M2FNUZ"],
  ["torch.int64", "I64"],
  ["torch.int32", "I32"],
  ["torch.int16", "I16"],
  ["torch.int8", "I8"],
  ["torch.uint8", "U8"],
  ["torch.uint16", "U16"],
  ["torch.uint32", "U32"],
  ["torch.uint64", "U64"],
  ["torch.bool", "BOOL"],
]);

const orderedDict = "collections.OrderedDict";
const untypedStorage = "torch.storage.UntypedStorage";
const calls: ReadonlySet<string> = new Set([
  orderedDict,
  "torch.Size",
  "torch._utils._rebuild_tensor",
  "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_tensor_v3",
  "torch._utils._rebuild_parameter",
]);

/** A name as a value, where it is on the list; whatever is not is refused by its name. */
export function toGlobal(module: string, name: string, file: string): PickleGlobal {
  const full = `${module}.${name}`;
  const isKnown = calls.has(full) || storageDtypes.has(full) || dtypes.has(full) || full === untypedStorage;
  if (!isKnown) throw refusedPickle(file, full);
  return new PickleGlobal(full);
}

/** What a call on the list stands for. Only values are made of it. */
export function toCalled(callee: PickleValue, args: PickleValue, file: string): PickleValue {
  if (!(callee instanceof PickleGlobal) || !calls.has(callee.name)) {
    throw refusedPickle(file, callee instanceof PickleGlobal ? `a call of ${callee.name}` : "a call of a value");
  }
  if (!Array.isArray(args)) throw malformedPickle(file, `${callee.name} is called without a list of arguments`);
  const [first, ...others] = args;
  switch (callee.name) {
    case orderedDict:
      return toOrderedDict(first, file);
    case "torch.Size":
      return first ?? [];
    case "torch._utils._rebuild_parameter":
      if (first instanceof PickleTensor) return first;
      throw malformedPickle(file, "a parameter has no tensor");
    default:
      return toTensor(first, others, callee.name.endsWith("_v3"), file);
  }
}

/** What `("storage", type, key, device, elements)` stands for. */
export function toStorage(id: PickleValue, file: string): PickleStorage {
  if (!Array.isArray(id)) throw malformedPickle(file, "a storage has no description");
  const [kind, type, key] = id;
  const name = type instanceof PickleGlobal ? type.name : undefined;
  const isStorage = name !== undefined && (storageDtypes.has(name) || name === untypedStorage);
  if (kind !== "storage" || !isStorage || typeof key !== "string" || !/^\d{1,15}$/.test(key)) {
    throw malformedPickle(file, "a storage is described in a way that is not known");
  }
  return new PickleStorage(key, storageDtypes.get(name));
}

function toOrderedDict(pairs: PickleValue | undefined, file: string): Map<PickleValue, PickleValue> {
  const made = new Map<PickleValue, PickleValue>();
  if (pairs === undefined) return made;
  if (!Array.isArray(pairs)) throw malformedPickle(file, "an OrderedDict is made of something else than pairs");
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw malformedPickle(file, "an OrderedDict has an item without value");
    made.set(pair[0] ?? null, pair[1] ?? null);
  }
  return made;
}

/** `(storage, offset, shape, strides, requires_grad, hooks[, dtype])`; the version 3 has the type. */
function toTensor(
  storage: PickleValue | undefined,
  rest: readonly PickleValue[],
  typed: boolean,
  file: string,
): PickleTensor {
  const [offset, shape, strides, , , dtype] = rest;
  if (!(storage instanceof PickleStorage)) throw malformedPickle(file, "a tensor has no storage");
  if (!isCount(offset) || !isCounts(shape) || !isCounts(strides) || shape.length !== strides.length) {
    throw malformedPickle(file, "a tensor's offset, shape and strides are no whole numbers of equal count");
  }
  if (!typed) return new PickleTensor(storage, offset, shape, strides);
  const type = dtype instanceof PickleGlobal ? dtypes.get(dtype.name) : undefined;
  if (type === undefined) throw malformedPickle(file, "a tensor has no type");
  return new PickleTensor(new PickleStorage(storage.key, type), offset, shape, strides);
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isCounts(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}
