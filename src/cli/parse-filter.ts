import { maxFilterConditions, maxFilterDepth } from "../vectors/assert-filter.js";
import { isClaimField } from "../vectors/field-value.js";
import { type Comparison, type Filter, recordFields, type Scalar } from "../vectors/filter.js";
import { suggestNames } from "../weights/nearest-names.js";
import { isFieldName } from "./field-text.js";
import { filterError, type Token, toFilterTokens } from "./filter-tokens.js";
import { parseScalar } from "./parse-scalar.js";

const comparisons: Readonly<Record<string, Exclude<Comparison, "in">>> = {
  "=": "eq",
  "==": "eq",
  "!=": "ne",
  "<": "lt",
  "<=": "lte",
  ">": "gt",
  ">=": "gte",
};

/** What `--help` says of `--where`. */
export const filterHelp = `
Filters: FIELD = VALUE, also != < <= > >=; FIELD in (A, B); exists FIELD; joined by and, or,
not and parentheses. Fields are tree, base, id, weights_hash, file_hash, created_ms,
updated_ms; meta.NAME, what was said of a model (--meta, --metadata); claim.NAME, what its
file says of itself. Values: 8 and 0.5 are numbers, true and false are truths, all else is
text, in quotes where there are spaces in it or it looks like a number ("8"). Times may be
written 2026-05-01. A name with spaces is meta."a name". Claims are text; beside a number
those that are numbers count as such. exists tree, base or a hash means: not empty.
  --where 'meta.license in (mit, apache-2.0) and not tree = sdxl'
  --where 'meta.rank >= 16 and (exists meta.author or created_ms > 2026-05-01)'
`;

/**
 * Reads a filter as people write it, for `--where`: see {@link filterHelp}. `not` binds closer than `and`, and that
 * closer than `or`; words of the language are read in either case.
 *
 * @throws CommandError that names the place, what was found there and what may stand there.
 */
export function parseFilter(source: string): Filter {
  return new Parser(source).parse();
}

class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;
  #conditions = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = toFilterTokens(source);
  }

  parse(): Filter {
    const filter = this.#either();
    const token = this.#peek();
    if (token.kind === "end") return filter;
    const closing = token.value === ")" ? "; no parenthesis is open" : "";
    throw this.#error(token, `"and", "or" or the end was expected${closing}`);
  }

  #either(): Filter {
    const [first, ...others] = this.#joined("or", () => this.#all());
    return others.length === 0 ? first : { or: [first, ...others] };
  }

  #all(): Filter {
    const [first, ...others] = this.#joined("and", () => this.#one());
    return others.length === 0 ? first : { and: [first, ...others] };
  }

  #joined(word: string, take: () => Filter): [Filter, ...Filter[]] {
    const parts: [Filter, ...Filter[]] = [take()];
    while (this.#takeWord(word)) parts.push(take());
    return parts;
  }

  #one(): Filter {
    if (this.#takeWord("not")) return this.#deeper(() => ({ not: this.#one() }));
    const token = this.#peek();
    if (this.#takeSign("(")) {
      const inner = this.#deeper(() => this.#either());
      if (!this.#takeSign(")")) {
        throw this.#error(this.#peek(), `")" was expected for the "(" at character ${token.at + 1}`);
      }
      return inner;
    }
    this.#conditions++;
    if (this.#conditions > maxFilterConditions)
      throw this.#error(token, `a filter may have ${maxFilterConditions} conditions`);
    // A field could not be called so without its meta. or claim.
    if (this.#takeWord("exists")) return { exists: this.#field() };
    return this.#comparison();
  }

  #deeper(take: () => Filter): Filter {
    this.#depth++;
    if (this.#depth >= maxFilterDepth) throw this.#error(this.#peek(), `filters may be ${maxFilterDepth} deep`);
    const filter = take();
    this.#depth--;
    return filter;
  }

  #comparison(): Filter {
    const field = this.#field();
    const isNot = this.#takeWord("not");
    if (isNot || this.#isWord("in")) {
      if (!this.#takeWord("in")) throw this.#error(this.#peek(), `"in" was expected behind "not"`);
      const among: Filter = { field, op: "in", value: this.#list(field) };
      return isNot ? { not: among } : among;
    }
    const sign = this.#peek();
    const op = sign.kind === "sign" ? comparisons[sign.value] : undefined;
    if (op === undefined) {
      throw this.#error(sign, `a comparison was expected: ${Object.keys(comparisons).join(" ")} or in (…)`);
    }
    this.#next++;
    const at = this.#peek();
    const value = this.#value(field);
    if (typeof value === "boolean" && op !== "eq" && op !== "ne") {
      throw this.#error(at, "true and false are not ordered; compare with = or !=");
    }
    return { field, op, value };
  }

  #list(field: string): Scalar[] {
    if (!this.#takeSign("(")) throw this.#error(this.#peek(), `"(" was expected: in (A, B)`);
    const values = [this.#value(field)];
    while (this.#takeSign(",")) values.push(this.#value(field));
    if (!this.#takeSign(")")) throw this.#error(this.#peek(), `"," or ")" was expected`);
    return values;
  }

  #field(): string {
    const token = this.#peek();
    if (token.kind !== "word") throw this.#error(token, "a field was expected, such as tree or meta.license");
    if (!isFieldName(token.value)) {
      const near = suggestNames(token.value, Object.keys(recordFields));
      throw this.#error(
        token,
        `no field has this name; what was said of a model is meta.${token.value}, what its file says claim.${token.value}${near}`,
      );
    }
    this.#next++;
    return token.value;
  }

  #value(field: string): Scalar {
    const token = this.#peek();
    if (token.kind !== "word" && token.kind !== "text") throw this.#error(token, "a value was expected");
    this.#next++;
    const value = token.kind === "text" ? token.value : parseScalar(token.value);
    const wanted = Object.hasOwn(recordFields, field) ? recordFields[field as keyof typeof recordFields] : undefined;
    if (wanted === "string") return typeof value === "string" ? value : token.value;
    // What a file says of itself is text; a number is compared with the texts that are numbers.
    if (isClaimField(field)) return typeof value === "number" ? value : token.value;
    if (wanted !== "number" || typeof value === "number") return value;
    const time = typeof value === "string" && /^\d{4}-\d\d/.test(value) ? Date.parse(value) : Number.NaN;
    if (Number.isFinite(time)) return time;
    throw this.#error(token, `${field} is a time: milliseconds since 1970, or a date such as 2026-05-01`);
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: "end", value: "", source: "", at: this.#source.length };
  }

  #isWord(word: string): boolean {
    const { kind, value } = this.#peek();
    return kind === "word" && value.toLowerCase() === word;
  }

  #takeWord(word: string): boolean {
    const isThere = this.#isWord(word);
    if (isThere) this.#next++;
    return isThere;
  }

  #takeSign(sign: string): boolean {
    const { kind, value } = this.#peek();
    const isThere = kind === "sign" && value === sign;
    if (isThere) this.#next++;
    return isThere;
  }

  #error({ kind, source, at }: Token, wanted: string): Error {
    const found = kind === "end" ? "the end" : source.slice(0, 60);
    return filterError(this.#source, at, `${kind === "end" ? found : JSON.stringify(found)}: ${wanted}`);
  }
}
