import { parseArgs } from "node:util";

/** One option of a bench: it always takes a value. */
export interface OptionSpec {
  readonly help: string;
  /** Value where none is given; the empty text means none. */
  readonly fallback: string;
}

/** A bench that `npm run bench -- NAME` runs. */
export interface Bench {
  /** One sentence for `--help`. */
  readonly summary: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Measures and prints a report. Resolves to whether everything it wanted was met. */
  run(options: BenchOptions): Promise<boolean>;
}

/** The values of a bench's options. */
export class BenchOptions {
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }

  /** A text; empty where none was given. */
  text(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined) throw new Error(`no option --${name}`);
    return value;
  }

  /** A whole number from `least` on. */
  count(name: string, least = 1): number {
    const value = Number(this.text(name));
    if (!Number.isSafeInteger(value) || value < least) {
      throw new Error(`--${name} is ${this.text(name)}; it must be a whole number from ${least}`);
    }
    return value;
  }

  /** A number from 0 on. */
  number(name: string): number {
    const value = Number(this.text(name));
    if (!Number.isFinite(value) || value < 0)
      throw new Error(`--${name} is ${this.text(name)}; it must be a number from 0`);
    return value;
  }
}

/** Reads `--name value` pairs. */
export function parseBenchOptions(specs: Readonly<Record<string, OptionSpec>>, args: readonly string[]): BenchOptions {
  const options = Object.fromEntries(Object.keys(specs).map((name) => [name, { type: "string" as const }]));
  const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false });
  const pairs = Object.entries(specs).map(([name, { fallback }]): [string, string] => {
    const value = values[name];
    return [name, typeof value === "string" ? value : fallback];
  });
  return new BenchOptions(new Map(pairs));
}
