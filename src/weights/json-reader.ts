import { InvalidInputError } from "../errors/probestream-error.js";
import { quoteName } from "./quote-name.js";

/** A JSON value whose objects are maps, so that a key such as `__proto__` is a key like any other. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

/** An object of a JSON text, in its order. */
export type JsonObject = ReadonlyMap<string, JsonValue>;

/** What a JSON text may hold at most; checked while it is read. */
export interface JsonLimits {
  /** Objects and arrays inside each other, the outermost counted. */
  readonly maxDepth: number;
  /** Items of one array. */
  readonly maxArrayItems: number;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/**
 * Parses JSON from a stranger. Unlike `JSON.parse` it refuses a key that stands twice (two readers would pick different
 * ones), nesting and arrays beyond the limits before they take memory, and text that is not well-formed Unicode.
 *
 * @param subject What the text is, for messages: `the header of "model.safetensors"`.
 * @throws InvalidInputError `HEADER_MALFORMED`, with the character at which the text went wrong.
 */
export function parseJson(text: string, subject: string, limits: JsonLimits): JsonValue {
  return new JsonReader(text, subject, limits).readAll();
}

class JsonReader {
  readonly #text: string;
  readonly #subject: string;
  readonly #limits: JsonLimits;
  #at = 0;

  constructor(text: string, subject: string, limits: JsonLimits) {
    this.#text = text;
    this.#subject = subject;
    this.#limits = limits;
  }

  readAll(): JsonValue {
    const value = this.#readValue(1);
    if (this.#peek() !== "") throw this.#malformed("goes on after its end");
    return value;
  }

  #readValue(depth: number): JsonValue {
    switch (this.#peek()) {
      case "{":
        return this.#readObject(depth);
      case "[":
        return this.#readArray(depth);
      case '"':
        return this.#readString();
      case "t":
        return this.#readWord("true", true);
      case "f":
        return this.#readWord("false", false);
      case "n":
        return this.#readWord("null", null);
      case "":
        throw this.#malformed("breaks off");
      default:
        return this.#readNumber();
    }
  }

  #readObject(depth: number): JsonObject {
    this.#assertDepth(depth);
    const object = new Map<string, JsonValue>();
    this.#at++;
    if (this.#skip("}")) return object;
    do {
      if (this.#peek() !== '"') throw this.#malformed("needs a key in quotes");
      const key = this.#readString();
      if (object.has(key)) throw this.#malformed(`has the key ${quoteName(key)} twice; every name may stand once`);
      if (!this.#skip(":")) throw this.#malformed("needs a colon after a key");
      object.set(key, this.#readValue(depth + 1));
    } while (this.#skip(","));
    if (!this.#skip("}")) throw this.#malformed("needs a comma or a closing brace");
    return object;
  }

  #readArray(depth: number): readonly JsonValue[] {
    this.#assertDepth(depth);
    const items: JsonValue[] = [];
    this.#at++;
    if (this.#skip("]")) return items;
    do {
      if (items.length === this.#limits.maxArrayItems) {
        throw this.#malformed(`has a list of more than the ${this.#limits.maxArrayItems} items allowed`);
      }
      items.push(this.#readValue(depth + 1));
    } while (this.#skip(","));
    if (!this.#skip("]")) throw this.#malformed("needs a comma or a closing bracket");
    return items;
  }

  #readString(): string {
    const begin = this.#at + 1;
    let end = this.#text.indexOf('"', begin);
    while (end !== -1 && this.#isEscaped(begin, end)) end = this.#text.indexOf('"', end + 1);
    if (end === -1) throw this.#malformed("has a string without an end");
    const raw = this.#text.slice(begin, end);
    let value = raw;
    // Names hardly ever have escapes, and JSON.parse costs more than finding that out.
    if (raw.includes("\\") || /[^ -\uffff]/.test(raw)) {
      try {
        value = String(JSON.parse(`"${raw}"`));
      } catch (cause) {
        throw this.#malformed("has a string with a bad escape or a bare control character", cause);
      }
      if (/\p{Cs}/u.test(value)) throw this.#malformed("has a string that is not well-formed Unicode");
    }
    this.#at = end + 1;
    return value;
  }

  /** Whether an odd number of backslashes stands before `at`. */
  #isEscaped(begin: number, at: number): boolean {
    let first = at;
    while (first > begin && this.#text[first - 1] === "\\") first--;
    return (at - first) % 2 === 1;
  }

  #readNumber(): number {
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text);
    if (found === null) throw this.#malformed("has something that is no JSON value");
    this.#at += found[0].length;
    return Number(found[0]);
  }

  #readWord<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#malformed("has something that is no JSON value");
    this.#at += word.length;
    return value;
  }

  /** The next character that is not white space, without taking it; empty at the end. */
  #peek(): string {
    for (;;) {
      const character = this.#text[this.#at] ?? "";
      if (character !== " " && character !== "\n" && character !== "\t" && character !== "\r") return character;
      this.#at++;
    }
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #assertDepth(depth: number): void {
    if (depth > this.#limits.maxDepth) {
      throw this.#malformed(`is nested deeper than the ${this.#limits.maxDepth} levels allowed`);
    }
  }

  #malformed(what: string, cause?: unknown): InvalidInputError {
    const message = `${this.#subject} ${what} (at character ${this.#at}); the file is damaged or not what its name says.`;
    return new InvalidInputError("HEADER_MALFORMED", message, { character: this.#at }, { cause });
  }
}
