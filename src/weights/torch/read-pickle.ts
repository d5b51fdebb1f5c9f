import { LimitExceededError } from "../../errors/probestream-error.js";
import { toCalled, toGlobal, toStorage } from "./pickle-calls.js";
import { PickleCursor } from "./pickle-cursor.js";
import { malformedPickle, refusedPickle } from "./pickle-errors.js";
import type { PickleValue } from "./pickle-values.js";

/** Opcodes that a pickle may have: a state dict of 100,000 tensors has 4 million. */
const MAX_OPCODES = 20_000_000;

const mark = Symbol("mark");
type Slot = PickleValue | typeof mark;

/**
 * Reads a pickle of plain data and tensors, protocols 2 to 5, opcode by opcode. Nothing is executed: names are compared
 * with a list, and calls on that list are understood, not made.
 *
 * Memory: the values, at most some tens of bytes per byte of the pickle.
 *
 * @param file What to call the file in messages.
 * @throws InvalidInputError `FORMAT_REFUSED` for a name or opcode that is not on the list, `HEADER_MALFORMED`.
 * @throws LimitExceededError `LIMIT_EXCEEDED` for more opcodes than a state dict has.
 * @see https://github.com/python/cpython/blob/main/Lib/pickletools.py
 */
export function readPickle(bytes: Uint8Array, file: string): PickleValue {
  return new Machine(new PickleCursor(bytes, file), file).run();
}

class Machine {
  readonly #cursor: PickleCursor;
  readonly #file: string;
  readonly #stack: Slot[] = [];
  readonly #memo = new Map<number, PickleValue>();

  constructor(cursor: PickleCursor, file: string) {
    this.#cursor = cursor;
    this.#file = file;
  }

  run(): PickleValue {
    for (let count = 0; count < MAX_OPCODES; count += 1) {
      const opcode = this.#cursor.byte();
      if (opcode === 0x2e) return this.#pop();
      if (this.#pushes(opcode) || this.#collects(opcode) || this.#remembers(opcode)) continue;
      this.#calls(opcode);
    }
    const message = `The pickle in "${this.#file}" has more than ${MAX_OPCODES} opcodes. Save the model as safetensors.`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { file: this.#file, maxOpcodes: MAX_OPCODES });
  }

  /** Opcodes that carry a value. */
  #pushes(opcode: number): boolean {
    const value = this.#valueOf(opcode);
    if (value === undefined) return false;
    this.#stack.push(value);
    return true;
  }

  #valueOf(opcode: number): Slot | undefined {
    const cursor = this.#cursor;
    switch (opcode) {
      case 0x28: // MARK
        return mark;
      case 0x4e: // NONE
        return null;
      case 0x88: // NEWTRUE
        return true;
      case 0x89: // NEWFALSE
        return false;
      case 0x4a: // BININT
        return cursor.int32();
      case 0x4b: // BININT1
        return cursor.byte();
      case 0x4d: // BININT2
        return cursor.uint16();
      case 0x8a: // LONG1
        return cursor.integer(cursor.byte());
      case 0x47: // BINFLOAT
        return cursor.float64();
      case 0x58: // BINUNICODE
        return cursor.text(cursor.uint32());
      case 0x8c: // SHORT_BINUNICODE
        return cursor.text(cursor.byte());
      case 0x8d: // BINUNICODE8
        return cursor.text(cursor.length64());
      case 0x42: // BINBYTES
        return cursor.bytes(cursor.uint32());
      case 0x43: // SHORT_BINBYTES
        return cursor.bytes(cursor.byte());
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        return [];
      case 0x7d: // EMPTY_DICT
        return new Map();
      case 0x8f: // EMPTY_SET
        return new Set();
      default:
        return undefined;
    }
  }

  /** Opcodes that put values into lists, tuples, dicts and sets. */
  #collects(opcode: number): boolean {
    switch (opcode) {
      case 0x61: // APPEND
        return this.#append([this.#pop()]);
      case 0x65: // APPENDS
        return this.#append(this.#popToMark());
      case 0x6c: // LIST
      case 0x74: // TUPLE
        this.#stack.push(this.#popToMark());
        return true;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        this.#stack.push(this.#popMany(opcode - 0x84));
        return true;
      case 0x73: // SETITEM
        return this.#setItems(this.#popMany(2));
      case 0x75: // SETITEMS
        return this.#setItems(this.#popToMark());
      case 0x64: {
        // DICT
        const items = this.#popToMark();
        this.#stack.push(new Map());
        return this.#setItems(items);
      }
      case 0x90: // ADDITEMS
        return this.#addItems(this.#popToMark());
      case 0x91: // FROZENSET
        this.#stack.push(new Set(this.#popToMark()));
        return true;
      case 0x30: // POP
        if (this.#stack.pop() === undefined) throw this.#malformed("it takes more values than it has");
        return true;
      case 0x31: // POP_MARK
        this.#popToMark();
        return true;
      default:
        return false;
    }
  }

  /** Opcodes of the memo, and those that say nothing. */
  #remembers(opcode: number): boolean {
    const cursor = this.#cursor;
    switch (opcode) {
      case 0x71: // BINPUT
        this.#memo.set(cursor.byte(), this.#top());
        return true;
      case 0x72: // LONG_BINPUT
        this.#memo.set(cursor.uint32(), this.#top());
        return true;
      case 0x94: // MEMOIZE
        this.#memo.set(this.#memo.size, this.#top());
        return true;
      case 0x68: // BINGET
        return this.#recall(cursor.byte());
      case 0x6a: // LONG_BINGET
        return this.#recall(cursor.uint32());
      case 0x80: // PROTO
        cursor.byte();
        return true;
      case 0x95: // FRAME
        cursor.length64();
        return true;
      default:
        return false;
    }
  }

  /** Opcodes that would run code where a pickle is loaded. */
  #calls(opcode: number): void {
    switch (opcode) {
      case 0x63: // GLOBAL
        this.#stack.push(toGlobal(this.#cursor.line(), this.#cursor.line(), this.#file));
        return;
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string") throw this.#malformed("a name is no text");
        this.#stack.push(toGlobal(module, name, this.#file));
        return;
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const [callee = null, args = null] = this.#popMany(2);
        this.#stack.push(toCalled(callee, args, this.#file));
        return;
      }
      case 0x51: // BINPERSID
        this.#stack.push(toStorage(this.#pop(), this.#file));
        return;
      case 0x62: // BUILD
        this.#pop();
        // PyTorch keeps versions in an attribute of its dict; of anything else the state would make it what it is.
        if (!(this.#top() instanceof Map)) throw refusedPickle(this.#file, "an object with a state");
        return;
      default:
        throw refusedPickle(this.#file, `opcode 0x${opcode.toString(16)} at byte ${this.#cursor.position - 1}`);
    }
  }

  #append(values: readonly PickleValue[]): true {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#malformed("it appends to something that is no list");
    for (const value of values) list.push(value);
    return true;
  }

  #setItems(items: readonly PickleValue[]): true {
    const dict = this.#top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) throw this.#malformed("it sets items of no dict");
    for (let i = 0; i < items.length; i += 2) dict.set(items[i] ?? null, items[i + 1] ?? null);
    return true;
  }

  #addItems(items: readonly PickleValue[]): true {
    const set = this.#top();
    if (!(set instanceof Set)) throw this.#malformed("it adds to something that is no set");
    for (const item of items) set.add(item);
    return true;
  }

  #recall(key: number): true {
    const value = this.#memo.get(key);
    if (value === undefined) throw this.#malformed(`it recalls value ${key}, which it never kept`);
    this.#stack.push(value);
    return true;
  }

  #top(): PickleValue {
    const slot = this.#stack.at(-1);
    if (slot === undefined || slot === mark) throw this.#malformed("it takes more values than it has");
    return slot;
  }

  #pop(): PickleValue {
    const slot = this.#top();
    this.#stack.pop();
    return slot;
  }

  #popMany(count: number): PickleValue[] {
    const values: PickleValue[] = [];
    for (let i = 0; i < count; i += 1) values.unshift(this.#pop());
    return values;
  }

  #popToMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(mark);
    if (at === -1) throw this.#malformed("it closes what it never opened");
    const values = this.#stack.splice(at).slice(1);
    return values.filter((slot): slot is PickleValue => slot !== mark);
  }

  #malformed(problem: string): Error {
    return malformedPickle(this.#file, problem);
  }
}
