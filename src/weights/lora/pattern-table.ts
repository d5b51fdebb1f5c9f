import { LimitExceededError } from "../../errors/probestream-error.js";
import { compilePattern, type NamePattern, type PatternBudget } from "./name-pattern.js";

/** Numbers by patterns for the names of modules, as PEFT's `rank_pattern` and `alpha_pattern` are. */
export interface PatternTable {
  /** The number of the first pattern that matches; undefined if none does. */
  find(name: string, budget: PatternBudget): number | undefined;
}

interface Entry {
  readonly order: number;
  readonly value: number;
}

/** Patterns of a file that are more than a name; each compiles to 2,048 steps at most. */
const mostPatterns = 64;

/** A name, or the end of one after a dot. Its dots are taken for dots. */
const plain = /^(\^?)([\w.-]+)\$?$/;

/**
 * Makes a table of patterns in their order. Plain names, which most are and of which there may be thousands, are looked
 * up; the others are tried.
 *
 * @throws InvalidInputError `FORMAT_REFUSED` for a pattern that is not read; LimitExceededError `LIMIT_EXCEEDED` for more than
 * 64 that are more than names.
 */
export function createPatternTable(patterns: ReadonlyMap<string, number>): PatternTable {
  const whole = new Map<string, Entry>();
  const ends = new Map<string, Entry>();
  const others: (Entry & { readonly pattern: NamePattern })[] = [];
  for (const [order, [key, value]] of [...patterns].entries()) {
    const [, anchor, name] = plain.exec(key) ?? [];
    if (name === undefined) {
      if (others.length === mostPatterns) {
        const message = `there are more than ${mostPatterns} patterns for the names of modules; write names instead`;
        throw new LimitExceededError("LIMIT_EXCEEDED", message, { limit: mostPatterns });
      }
      others.push({ order, value, pattern: compilePattern(key) });
    } else {
      const names = anchor === "^" ? whole : ends;
      if (!names.has(name)) names.set(name, { order, value });
    }
  }
  return {
    find: (name, budget) => {
      let best = whole.get(name);
      for (let begin = 0, dot = 0; dot !== -1; begin = dot + 1) {
        const end = ends.get(name.slice(begin));
        if (end !== undefined && (best === undefined || end.order < best.order)) best = end;
        dot = name.indexOf(".", begin);
      }
      for (const { order, value, pattern } of others) {
        if (best !== undefined && best.order < order) break;
        if (pattern.matches(name, budget)) return value;
      }
      return best?.value ?? patterns.get(name);
    },
  };
}
