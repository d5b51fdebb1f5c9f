import { InvalidInputError } from "../../errors/probestream-error.js";

/** Most labels taken of one model. */
const mostLabels = 1024;

/**
 * Reads the labels that a header's text holds: a list as Python writes it (`dataset_chosen_targets` of the authors'
 * files: `['cat', "dog's"]` or `[3, 17]`), JSON's lists among them; with a separator a text of several; else the text as
 * it is. Labels keep their order, without repeats and empty ones.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a list that is not closed, holds anything but texts and numbers, or has
 * more than 1024 labels.
 */
export function parseLabels(text: string, separator?: string): string[] {
  const trimmed = text.trim();
  const found = isList.test(trimmed)
    ? parseList(trimmed)
    : separator === undefined
      ? [trimmed]
      : trimmed.split(separator);
  const labels = [...new Set(found.map((label) => label.trim()).filter((label) => label !== ""))];
  if (labels.length > mostLabels) throw wrong(trimmed, `${labels.length} labels, at most ${mostLabels} are taken`);
  return labels;
}

/** A caption may begin with a bracket as well: what follows one in a list is a quotation mark, a number or its end. */
const isList = /^(?:\[\s*['"\d\]-]|\(\s*['"\d)-])/;

/** One element of a list and what follows it. */
const element = /\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(-?\d+(?:\.\d+)?))\s*(,|[\])]$)/sy;

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\x07" };

/** An escape of Python or JSON: of a code, or of one character. */
const escapePattern = /\\(?:u([\da-fA-F]{4})|x([\da-fA-F]{2})|U(0010[\da-fA-F]{4}|000[\da-fA-F]{5})|(.))/gs;

function parseList(text: string): string[] {
  const close = text.startsWith("[") ? "]" : ")";
  if (!text.endsWith(close)) throw wrong(text, `a list that is not closed by ${close}`);
  const labels: string[] = [];
  let at = 1;
  while (at < text.length) {
    // An empty list, or a comma after the last element.
    if (text.slice(at).trim() === close) return labels;
    element.lastIndex = at;
    const match = element.exec(text);
    if (match === null) throw wrong(text, `something other than a text or a number at character ${at + 1}`);
    const [whole, single, double, number = ""] = match;
    labels.push((single ?? double)?.replace(escapePattern, toUnescaped) ?? number);
    at += whole.length;
    if (!whole.endsWith(",")) return labels;
  }
  throw wrong(text, `a list that is not closed by ${close}`);
}

/** What stands for an escape; halves of a surrogate pair come one after the other. */
function toUnescaped(_: string, four?: string, two?: string, eight?: string, character = ""): string {
  const code = four ?? two ?? eight;
  if (code === undefined) return escapes[character] ?? character;
  return eight === undefined
    ? String.fromCharCode(Number.parseInt(code, 16))
    : String.fromCodePoint(Number.parseInt(code, 16));
}

function wrong(text: string, found: string): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", `the labels ${JSON.stringify(text.slice(0, 80))} are ${found}`);
}
