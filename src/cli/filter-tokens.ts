import { usageError } from "./exit-codes.js";

/** What a token of a filter is: a word without quotes, a text in quotes, or a sign. */
type TokenKind = "word" | "text" | "sign" | "end";

/** A token of a filter. */
export interface Token {
  readonly kind: TokenKind;
  /** The word, the text without quotes and escapes, or the sign. */
  readonly value: string;
  /** As it stands there. */
  readonly source: string;
  /** Characters before it. */
  readonly at: number;
}

/** Signs, longer ones first. */
const signs = ["!=", "==", "<=", ">=", "=", "<", ">", "(", ")", ","];

/** What ends a word. */
const wordEnd = /[\s()=<>!,"']/;

/**
 * Cuts a filter into tokens; the last one is its end.
 *
 * @throws CommandError that points at a quote that is not closed, or at a character that has no place there.
 */
export function toFilterTokens(source: string): Token[] {
  const tokens: Token[] = [];
  for (let at = skipSpace(source, 0); at < source.length; at = skipSpace(source, at)) {
    const token = takeToken(source, at);
    tokens.push(token);
    at += token.source.length;
  }
  return [...tokens, { kind: "end", value: "", source: "", at: source.length }];
}

function takeToken(source: string, at: number): Token {
  const first = source[at] ?? "";
  if (first === '"' || first === "'") return takeText(source, at, first);
  const sign = signs.find((one) => source.startsWith(one, at));
  if (sign !== undefined) return { kind: "sign", value: sign, source: sign, at };
  if (first === "!") throw filterError(source, at, '"!" alone; "not equal" is !=, and "not" is a word');
  let end = at;
  while (end < source.length && !wordEnd.test(source[end] ?? "")) {
    end++;
    // meta."training comment": names with spaces stand in quotes.
    if (source[end - 1] === "." && source[end] === '"') {
      const { source: quoted, value } = takeText(source, end, '"');
      const whole = source.slice(at, end + quoted.length);
      return { kind: "word", value: source.slice(at, end) + value, source: whole, at };
    }
  }
  const word = source.slice(at, end);
  return { kind: "word", value: word, source: word, at };
}

function takeText(source: string, at: number, quote: string): Token {
  let value = "";
  for (let next = at + 1; next < source.length; next++) {
    const character = source[next] ?? "";
    if (character === quote) return { kind: "text", value, source: source.slice(at, next + 1), at };
    if (character !== "\\") value += character;
    else value += takeEscaped(source, ++next);
  }
  throw filterError(source, at, "a quote that is not closed");
}

/** `\"`, `\'` and `\\`; nothing else needs an escape. */
function takeEscaped(source: string, at: number): string {
  const character = source[at] ?? "";
  if (character === '"' || character === "'" || character === "\\") return character;
  throw filterError(
    source,
    at - 1,
    String.raw`"\${character}"; a backslash stands before a quote or another backslash`,
  );
}

function skipSpace(source: string, from: number): number {
  let at = from;
  while (/\s/.test(source[at] ?? "")) at++;
  return at;
}

/** Characters shown around the place of an error. */
const shownAround = 30;

/** An error at a place of a filter, with what stands around it. */
export function filterError(source: string, at: number, found: string): Error {
  const start = Math.max(0, at - shownAround);
  const end = Math.min(source.length, at + shownAround);
  const before = `${start > 0 ? "…" : ""}${source.slice(start, at).trimEnd()}`;
  const after = `${source.slice(at, end)}${end < source.length ? "…" : ""}`;
  return usageError(`--where, character ${at + 1}: ${found}. Here: ${before} >>> ${after === "" ? "(end)" : after}`);
}
