import { type Command, InvalidArgumentError } from "commander";
import type { RetrievalQuery } from "../retrieval/retrieval-port.js";
import { type Filter, recordFields } from "../vectors/filter.js";
import { isFieldName } from "./field-text.js";
import { collectWord, parseCount, parseNumber } from "./option-values.js";
import { parseFilter } from "./parse-filter.js";

/** Options of every command that searches. */
export interface QueryOptions {
  readonly count?: number;
  readonly where?: readonly string[];
  readonly tree?: readonly string[];
  readonly expert?: readonly string[];
  readonly minScore?: number;
  readonly minCosine?: number;
  readonly perBase?: number;
  readonly exact?: boolean;
  readonly show?: readonly string[];
  readonly json?: boolean;
}

/** Adds the options of {@link QueryOptions} to a command. */
export function addQueryOptions(command: Command): Command {
  return command
    .option("-k, --count <n>", "models per query (default: 10)", parseCount)
    .option("--where <filter>", "condition on models, see below; repeatable, all must hold", collectWord)
    .option("--tree <name>", "only models of this Model Tree; repeatable", collectWord)
    .option("--expert <name>", "only the space of this expert, by name or space id; repeatable", collectWord)
    .option("--min-score <number>", "score that a model has at least, 0 to 1", parseShare)
    .option("--min-cosine <number>", "cosine that a model has at least, -1 to 1", parseCosine)
    .option("--per-base <n>", "models with the same base, at most; those without a base are not limited", parseCount)
    .option("--exact", "look at every model, also where the store has an approximate index")
    .option("--show <field>", "further column of the table, such as claim.title; repeatable", collectField)
    .option("--json", "one JSON object per line instead of a table");
}

/** All of a query but what it resembles. */
export function toQueryBounds(options: QueryOptions): Omit<RetrievalQuery, "positives" | "negatives"> {
  const { count, tree, expert, minScore, minCosine, perBase, exact } = options;
  return {
    ...(count !== undefined && { k: count }),
    ...(expert !== undefined && { experts: expert }),
    ...(tree !== undefined && { trees: tree }),
    ...{ filter: toFilter(options.where), minScore, minCosine, maxPerBase: perBase, exact },
  };
}

/** The filter of `--where`, all of them together; undefined if there is none. */
export function toFilter(sources: readonly string[] = []): Filter | undefined {
  const [first, ...others] = sources.map(parseFilter);
  return first === undefined || others.length === 0 ? first : { and: [first, ...others] };
}

/**
 * Adds a field's name to the names so far.
 *
 * @throws InvalidArgumentError for a name that no filter knows.
 */
export function collectField(field: string, fields?: readonly string[]): string[] {
  assertField(field);
  return collectWord(field, fields);
}

function assertField(field: string): void {
  if (isFieldName(field)) return;
  throw new InvalidArgumentError(
    `What was said of a model is meta.${field}, what its file says claim.${field}; besides there are ${Object.keys(recordFields).join(", ")}.`,
  );
}

function parseShare(text: string): number {
  const share = parseNumber(text);
  if (share <= 1) return share;
  throw new InvalidArgumentError("It must be a number from 0 to 1.");
}

/** Reads a cosine, -1 to 1. */
export function parseCosine(text: string): number {
  const cosine = Number(text);
  if (/^-?[\d.]/.test(text) && cosine >= -1 && cosine <= 1) return cosine;
  throw new InvalidArgumentError("It must be a number from -1 to 1.");
}
