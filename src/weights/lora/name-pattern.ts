import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import { quoteName } from "../quote-name.js";

/** Steps of a compiled pattern at most: those in use have about as many as characters. */
const maxSteps = 2048;
/** Groups inside each other. */
const maxDepth = 16;
/** Times that `{m,n}` may repeat. */
const maxRepeats = 64;

/** What is left of the work that a file's patterns may cause; one for all of them. */
export interface PatternBudget {
  steps: number;
}

/** A pattern for the names of modules. */
export interface NamePattern {
  /**
   * Whether the pattern matches the whole name, or what follows a dot in it up to its end, as PEFT applies its patterns.
   *
   * Work: characters of the name times steps of the pattern, taken from `budget`. No pattern takes longer.
   *
   * @throws LimitExceededError `LIMIT_EXCEEDED` if the budget is used up.
   */
  matches(name: string, budget: PatternBudget): boolean;
}

type Step =
  | { readonly op: "character"; readonly accepts: (character: string) => boolean }
  | { readonly op: "fork"; readonly to: readonly number[] }
  | { readonly op: "begin" | "end" | "accept" };

/**
 * Compiles a regular expression of the kind that patterns for modules are: characters, `.`, classes, `\d \w \s` and their
 * opposites, groups, `|`, `* + ? {m,n}`, `^` and `$`. JavaScript's own would do, but some patterns take it years, and the
 * file may be a stranger's.
 *
 * @throws InvalidInputError `FORMAT_REFUSED` for any other syntax.
 * @see peft, `get_pattern_key` in `utils/other.py`: `re.match(rf"(.*\.)?({key})$", name)`
 * @see R. Cox, "Regular Expression Matching Can Be Simple And Fast", https://swtch.com/~rsc/regexp/regexp1.html
 */
export function compilePattern(pattern: string): NamePattern {
  const steps = new PatternCompiler(pattern).compile();
  return { matches: (name, budget) => run(steps, name, budget) };
}

type Part = (steps: Step[]) => void;

class PatternCompiler {
  readonly #pattern: string;
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  compile(): readonly Step[] {
    const steps: Step[] = [];
    const whole = this.#readChoice(0);
    if (this.#at < this.#pattern.length) throw this.#refused();
    whole(steps);
    this.#push(steps, { op: "accept" });
    return steps;
  }

  #readChoice(depth: number): Part {
    if (depth > maxDepth) throw this.#refused();
    const options = [this.#readSequence(depth)];
    while (this.#take("|")) options.push(this.#readSequence(depth));
    return options.reduceRight((rest, option) => (steps) => {
      const fork = this.#push(steps, { op: "fork", to: [] });
      option(steps);
      const leave = this.#push(steps, { op: "fork", to: [] });
      steps[fork] = { op: "fork", to: [fork + 1, steps.length] };
      rest(steps);
      steps[leave] = { op: "fork", to: [steps.length] };
    });
  }

  #readSequence(depth: number): Part {
    const parts: Part[] = [];
    while (this.#at < this.#pattern.length && !"|)".includes(this.#pattern[this.#at] as string)) {
      parts.push(this.#readRepeated(this.#readAtom(depth)));
    }
    return (steps) => {
      for (const part of parts) part(steps);
    };
  }

  #readAtom(depth: number): Part {
    const character = this.#next();
    if (character === "(") {
      if (this.#take("?") && !this.#take(":")) throw this.#refused();
      const inner = this.#readChoice(depth + 1);
      if (!this.#take(")")) throw this.#refused();
      return inner;
    }
    if (character === "^" || character === "$") {
      const op = character === "^" ? "begin" : "end";
      return (steps) => void this.#push(steps, { op });
    }
    if ("*+?{".includes(character)) throw this.#refused();
    const accepts = character === "[" ? this.#readClass() : this.#toTest(character);
    return (steps) => void this.#push(steps, { op: "character", accepts });
  }

  #toTest(character: string): (candidate: string) => boolean {
    if (character === ".") return () => true;
    if (character !== "\\") return (candidate) => candidate === character;
    const escaped = this.#next();
    const kind = /^[dws]$/i.test(escaped) ? new RegExp(`\\${escaped}`) : undefined;
    if (kind !== undefined) return (candidate) => kind.test(candidate);
    if (/^[A-Za-z0-9]$/.test(escaped)) throw this.#refused();
    return (candidate) => candidate === escaped;
  }

  #readClass(): (candidate: string) => boolean {
    const isNegated = this.#take("^");
    const tests: ((candidate: string) => boolean)[] = [];
    do {
      const first = this.#next();
      const test = first === "." ? (candidate: string) => candidate === "." : this.#toTest(first);
      if (first !== "\\" && this.#pattern[this.#at] === "-" && this.#pattern[this.#at + 1] !== "]") {
        this.#at++;
        const last = this.#next();
        if (last === "\\" || last < first) throw this.#refused();
        tests.push((candidate) => candidate >= first && candidate <= last);
      } else tests.push(test);
    } while (!this.#take("]"));
    return (candidate) => tests.some((test) => test(candidate)) !== isNegated;
  }

  #readRepeated(inner: Part): Part {
    const [least, most] = this.#readCount();
    if (least === 1 && most === 1) return inner;
    // Whether as few or as many as can be are tried first makes no difference to whether it matches.
    this.#take("?");
    if ("*+?{".includes(this.#pattern[this.#at] ?? " ")) throw this.#refused();
    return (steps) => {
      for (let i = 0; i < least; i++) inner(steps);
      if (most === undefined) {
        const fork = this.#push(steps, { op: "fork", to: [] });
        inner(steps);
        this.#push(steps, { op: "fork", to: [fork] });
        steps[fork] = { op: "fork", to: [fork + 1, steps.length] };
        return;
      }
      for (let i = least; i < most; i++) {
        const fork = this.#push(steps, { op: "fork", to: [] });
        inner(steps);
        steps[fork] = { op: "fork", to: [fork + 1, steps.length] };
      }
    };
  }

  #readCount(): readonly [least: number, most: number | undefined] {
    if (this.#take("*")) return [0, undefined];
    if (this.#take("+")) return [1, undefined];
    if (this.#take("?")) return [0, 1];
    if (this.#pattern[this.#at] !== "{") return [1, 1];
    const found = /^\{(\d{1,3})(,(\d{1,3})?)?\}/.exec(this.#pattern.slice(this.#at, this.#at + 10));
    if (found === null) throw this.#refused();
    const [text, least, comma, most] = found;
    const counts = [Number(least), comma === undefined ? Number(least) : most && Number(most)] as const;
    const upper = typeof counts[1] === "number" ? counts[1] : undefined;
    if (Math.max(counts[0], upper ?? 0) > maxRepeats || (upper ?? counts[0]) < counts[0]) throw this.#refused();
    this.#at += text.length;
    return [counts[0], upper];
  }

  #push(steps: Step[], step: Step): number {
    if (steps.length >= maxSteps) throw this.#refused();
    return steps.push(step) - 1;
  }

  #take(character: string): boolean {
    if (this.#pattern[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const character = this.#pattern[this.#at++];
    if (character === undefined) throw this.#refused();
    return character;
  }

  #refused(): InvalidInputError {
    const message = `The adapter's configuration has the pattern ${quoteName(this.#pattern)}, which is not read: characters, ., [], \\d \\w \\s, (), |, * + ? {m,n}, ^ and $ are, up to ${maxSteps} steps. Write the scale of each module by its name.`;
    return new InvalidInputError("FORMAT_REFUSED", message, { pattern: this.#pattern });
  }
}

function run(steps: readonly Step[], name: string, budget: PatternBudget): boolean {
  let current = new Set<number>();
  for (let at = 0; ; at++) {
    if (at === 0 || name[at - 1] === ".") current.add(0);
    const isLast = at === name.length;
    // A set that grows while it is gone through: what is added is gone through as well.
    for (const index of current) {
      const step = steps[index];
      if (--budget.steps < 0) throw exhausted();
      if (step?.op === "fork") for (const to of step.to) current.add(to);
      if ((step?.op === "begin" && at === 0) || (step?.op === "end" && isLast)) current.add(index + 1);
      if (step?.op === "accept" && isLast) return true;
    }
    if (isLast) return false;
    const next = new Set<number>();
    for (const index of current) {
      const step = steps[index];
      if (step?.op === "character" && step.accepts(name[at] as string)) next.add(index + 1);
    }
    current = next;
  }
}

function exhausted(): LimitExceededError {
  const message =
    "The patterns of the adapter's configuration take too much work to apply to its modules. Write the scale of each module by its name.";
  return new LimitExceededError("LIMIT_EXCEEDED", message);
}
