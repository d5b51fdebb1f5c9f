import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { assertOnlyExample, findExamples } from "../find-examples.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { filterHelp } from "../parse-filter.js";
import { addQueryOptions, type QueryOptions, toQueryBounds } from "../query-options.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { type NamedQuery, runQueries } from "../run-queries.js";

interface SimilarOptions extends RetrievalOptions, QueryOptions {
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
}

const help = `
Each model is a query of its own; a file is embedded for it, and not indexed. The model
itself is not among the hits if it is named by its id. For several examples of one thing,
and for what it is not: \`probestream search --like A --like B --unlike C\`.
${storeHelp}${filterHelp}
Exit codes: as of \`probestream search\`.

Examples:
  $ probestream similar jazz-lora-1.safetensors
      the ten models of the catalogue that are most like this one
  $ probestream similar ~/Downloads/unknown.safetensors -k 3 --local
      what could this file be? It need not be in the catalogue
  $ probestream similar a.safetensors b.safetensors --min-score 0.9 --json
      one JSON object per hit
`;

/** Adds `similar`. */
export function addSimilar(program: Command, context: CommandContext): void {
  const command = program
    .command("similar")
    .description("Finds the models of the catalogue that do what a model does.")
    .argument("<model...>", "ids of the catalogue, files or http(s) URLs")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server);
  addQueryOptions(command)
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .action(async (words: readonly string[], options: SimilarOptions) => {
      context.exit(await similar(words, options, context));
    });
}

async function similar(words: readonly string[], options: SimilarOptions, context: CommandContext): Promise<number> {
  const { expert = [], header: headers, token } = options;
  const bounds = toQueryBounds(options);
  const opened = await openCatalogueOf(options, context, { willSearch: true });
  try {
    const modelOptions = toModelOptions({ headers, token, hubToken: context.environment.hubToken });
    const { signal } = context;
    const found = await findExamples(words, opened, {
      ...{ experts: expert, modelOptions, signal, areTextsAllowed: false },
    });
    assertOnlyExample(found);
    // A file that several experts embed is several queries.
    const queries = found.flatMap(({ word, examples, failure }): readonly NamedQuery[] =>
      failure === undefined
        ? examples.map((example) => ({ name: word, query: { ...bounds, positives: [example] } }))
        : [{ name: word, query: failure }],
    );
    return await runQueries(queries, opened.catalogue, options, context);
  } finally {
    await opened.close();
  }
}
