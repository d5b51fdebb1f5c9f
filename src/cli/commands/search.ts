import type { Command } from "commander";
import type { Example } from "../../retrieval/retrieval-port.js";
import type { CommandContext } from "../command-context.js";
import { usageError } from "../exit-codes.js";
import { assertExample, type FoundExample, findExamples } from "../find-examples.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord } from "../option-values.js";
import { filterHelp } from "../parse-filter.js";
import { addQueryOptions, type QueryOptions, toQueryBounds } from "../query-options.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { addRetrievalOptions, defaultStore, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { type NamedQuery, runQueries } from "../run-queries.js";
import { readTextFile } from "../text-file.js";

interface SearchOptions extends RetrievalOptions, QueryOptions {
  readonly queries?: string;
  readonly like?: readonly string[];
  readonly unlike?: readonly string[];
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
}

const help = `
A text is what people would say that a model does; several texts are several queries. --like
and --unlike move all of them: towards models or files like this one, away from those like
that one. Their words are ids of the catalogue, files, URLs, or text:WORDS (id: and file:
before a word say which of the two it is).

Scores are probabilities: they compare across experts and queries, once experts are
calibrated. Cosines compare within one expert's space and one query only.
${storeHelp}${filterHelp}
Exit codes: 0 all queries are answered, also if no model fits; 1 some were refused; 2 the
command line is wrong; 3 no server, no store, or no query that could be answered.

Examples:
  $ probestream search "pixel art"
      the ten models that fit best, from the server on this machine
  $ probestream search "pixel art" watercolour -k 3 --local
      two queries, no server: the store in ./${defaultStore}
  $ probestream search "pixel art" --like best-so-far.safetensors --unlike text:photograph
      refined by example
  $ probestream search --like mine.safetensors --where 'meta.license = mit' --per-base 1
      no words at all: what is like this file, one of each base
  $ probestream search --queries concepts.txt --json > hits.jsonl
      a line of the file per query, a line of JSON per hit
`;

/** Adds `search`. */
export function addSearch(program: Command, context: CommandContext): void {
  const command = program
    .command("search")
    .description("Finds models by what they do: in words, by example, or both.")
    .argument("[text...]", "what is wanted, in words; each is a query of its own")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option("--queries <file>", "texts as lines of a file; - for standard input")
    .option("--like <example>", "a model that is like what is wanted; repeatable", collectWord)
    .option("--unlike <example>", "one that is not; repeatable", collectWord);
  addQueryOptions(command)
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .action(async (texts: readonly string[], options: SearchOptions) => {
      context.exit(await search(texts, options, context));
    });
}

async function search(words: readonly string[], options: SearchOptions, context: CommandContext): Promise<number> {
  const { like = [], unlike = [], expert = [], header: headers, token } = options;
  const bounds = toQueryBounds(options);
  const texts = [...words, ...(options.queries === undefined ? [] : await readLines(options.queries))];
  const empty = texts.findIndex((text) => text.trim() === "");
  if (empty >= 0) throw usageError("a text is empty; say what is wanted");
  if (texts.length === 0 && like.length === 0) {
    throw usageError('nothing is asked for; give a text, as in `probestream search "pixel art"`, or --like MODEL');
  }
  const needsTexts = texts.length > 0 || [...like, ...unlike].some((word) => word.startsWith("text:"));
  const opened = await openCatalogueOf(options, context, { needsTexts, willSearch: true });
  try {
    const modelOptions = toModelOptions({ headers, token, hubToken: context.environment.hubToken });
    const { signal } = context;
    const found = await findExamples([...like, ...unlike], opened, {
      ...{ experts: expert, modelOptions, signal, areTextsAllowed: true },
    });
    for (const one of found) assertExample(one);
    const positives = toExamples(found.slice(0, like.length));
    const negatives = toExamples(found.slice(like.length));
    const queries: NamedQuery[] =
      texts.length === 0
        ? [{ name: toName(found, like.length), query: { ...bounds, positives, negatives } }]
        : texts.map((text) => ({ name: text, query: { ...bounds, positives: [{ text }, ...positives], negatives } }));
    return await runQueries(queries, opened.catalogue, options, context);
  } finally {
    await opened.close();
  }
}

function toExamples(found: readonly FoundExample[]): readonly Example[] {
  return found.flatMap(({ word, examples }) => {
    if (examples.length <= 1) return examples;
    throw usageError(`${word} is embedded by ${examples.length} experts; name the one that is meant with --expert`);
  });
}

function toName(found: readonly FoundExample[], likeCount: number): string {
  const words = found.map(({ word }) => word);
  const unlike = words.slice(likeCount);
  const like = `like ${words.slice(0, likeCount).join(", ")}`;
  return unlike.length === 0 ? like : `${like}, unlike ${unlike.join(", ")}`;
}

async function readLines(file: string): Promise<readonly string[]> {
  const lines = (await readTextFile("--queries", file)).split(/\r?\n/).filter((line) => line.trim() !== "");
  if (lines.length === 0) throw usageError(`--queries: ${file} has no line`);
  return lines;
}
