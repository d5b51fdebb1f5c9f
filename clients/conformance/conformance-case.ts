import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** An object of JSON. */
export type JsonObject = { readonly [key: string]: Json };

/** One call of a case. */
export interface CaseStep {
  readonly verb: string;
  readonly args: JsonObject;
}

/** A case as it is written; see README.md beside this file. */
export interface ConformanceCase {
  readonly name: string;
  readonly about: string;
  /** Languages whose clients offer what it is about; all of them if it does not say. */
  readonly languages?: readonly string[];
  readonly server?: string;
  readonly connect?: JsonObject;
  readonly steps: readonly CaseStep[];
  /** One pattern per step. */
  readonly expect: readonly Json[];
  /** What must hold within a few seconds after. */
  readonly after?: { readonly open_streams?: number };
}

/** What a driver says of one case. */
export type DriverOutcome = { readonly outcomes: readonly Json[] } | { readonly unsupported: string };

/** Reads the cases of a folder, in the order of files and places. Throws for a name that stands twice. */
export async function readCases(folder: string): Promise<readonly ConformanceCase[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".yaml")).sort();
  const lists = await Promise.all(files.map((file) => readCaseFile(join(folder, file))));
  const cases = lists.flat();
  const names = new Set<string>();
  for (const { name, steps, expect } of cases) {
    if (names.has(name)) throw new Error(`the case ${name} stands twice`);
    if (steps.length !== expect.length)
      throw new Error(`${name} has ${steps.length} steps and ${expect.length} patterns`);
    names.add(name);
  }
  return cases;
}

/** JSON is a part of YAML; of what goes beyond it only comments on lines of their own are understood. */
async function readCaseFile(path: string): Promise<readonly ConformanceCase[]> {
  const text = await readFile(path, "utf8");
  try {
    return JSON.parse(text.replace(/^#.*$/gm, "")) as readonly ConformanceCase[];
  } catch (cause) {
    throw new Error(`${path} cannot be read`, { cause });
  }
}

/** Puts values in place of `${name}`: the value itself where a text is nothing else, its text within another. */
export function fillIn(template: Json, values: (name: string) => Json): Json {
  if (typeof template === "string") {
    const whole = /^\$\{([^}]+)\}$/.exec(template)?.[1];
    if (whole !== undefined) return values(whole);
    return template.replace(/\$\{([^}]+)\}/g, (_, name: string) => String(values(name)));
  }
  if (Array.isArray(template)) return template.map((item: Json) => fillIn(item, values));
  if (template === null || typeof template !== "object") return template;
  return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, fillIn(value, values)]));
}
