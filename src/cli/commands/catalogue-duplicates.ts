import type { Command } from "commander";
import { ProbestreamError } from "../../errors/probestream-error.js";
import type { Duplicate, RetrievalPort } from "../../retrieval/retrieval-port.js";
import type { CommandContext } from "../command-context.js";
import { exitCodes } from "../exit-codes.js";
import { findAllIds, findKnownIds, modelNotFound } from "../find-models.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord, parseCount } from "../option-values.js";
import { parseCosine } from "../query-options.js";
import { toErrorFields } from "../result-writer.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { type Column, keepEnd, toPlain, toTable } from "../table.js";

interface DuplicatesOptions extends RetrievalOptions {
  readonly minCosine?: number;
  readonly count?: number;
  readonly expert?: readonly string[];
  readonly json?: boolean;
}

const help = `
Nearly the same is what an expert sees so: models trained alike may be. \`probestream trees
duplicates\` reads files instead, and says what was done to a copy.
${storeHelp}
Exit codes: 0 all were looked at, whether or not there are copies; 1 some could not be; 2
the command line is wrong; 3 no server, no store, no such model.

Examples:
  $ probestream catalogue duplicates
      which models are there more than once?
  $ probestream catalogue duplicates jazz-lora-1.safetensors --min-cosine 0.99 --json
`;

const columns: readonly Column[] = [
  { title: "model" },
  { title: "copy" },
  { title: "cosine", align: "right" },
  { title: "weights" },
];

/** Models of one call. */
const modelsAtOnce = 500;

/** Widest id. */
const idWidth = 60;

/** Adds `catalogue duplicates`. */
export function addCatalogueDuplicates(catalogue: Command, context: CommandContext): void {
  const command = catalogue
    .command("duplicates")
    .summary("find models that are nearly the same")
    .description("Finds models of the catalogue whose representations are nearly the same.")
    .argument("[id...]", "ids of models (default: all)")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option("--min-cosine <number>", "cosine from which on models count as the same (default: 0.999)", parseCosine)
    .option("-k, --count <n>", "copies per model, at most (default: 100)", parseCount)
    .option("--expert <name>", "only the space of this expert, by name or space id; repeatable", collectWord)
    .option("--json", "one JSON object per line instead of a table")
    .action(async (ids: readonly string[], options: DuplicatesOptions) => {
      context.exit(await duplicates(ids, options, context));
    });
}

async function duplicates(
  words: readonly string[],
  { json: isJson = false, minCosine, count, expert, ...options }: DuplicatesOptions,
  context: CommandContext,
): Promise<number> {
  const { terminal, signal } = context;
  const opened = await openCatalogueOf(options, context, { willSearch: true });
  try {
    const { catalogue } = opened;
    const ids =
      words.length > 0
        ? [...new Set(words)]
        : await findAllIds(catalogue, { ...(await catalogue.listSpaces()), signal });
    await assertKnown(catalogue, words);
    const bounds = { minCosine, k: count, signal, ...(expert !== undefined && { experts: expert }) };
    const pairs = new Set<string>();
    const rows: string[][] = [];
    let failed = 0;
    for (let at = 0; at < ids.length; at += modelsAtOnce) {
      const some = ids.slice(at, at + modelsAtOnce);
      const answers = await catalogue.findDuplicates(some, bounds);
      for (const [index, id] of some.entries()) {
        const answer = answers[index];
        if (answer === undefined || answer instanceof ProbestreamError) {
          failed++;
          if (answer !== undefined && isJson) {
            await terminal.print(JSON.stringify({ model: id, ...toErrorFields(answer) }));
          } else terminal.remark(toPlain(`${id}: ${answer?.message ?? "no answer"}`));
          continue;
        }
        for (const copy of answer) {
          // Each pair once, though each of the two finds the other.
          const key = JSON.stringify([[id, copy.modelId].sort(), copy.spaceId]);
          if (pairs.has(key)) continue;
          pairs.add(key);
          if (isJson) await terminal.print(JSON.stringify(toJson(id, copy)));
          else rows.push(toCells(id, copy));
        }
      }
    }
    if (rows.length > 0) for (const line of toTable(columns, rows)) await terminal.print(line);
    if (pairs.size === 0 && failed < ids.length) terminal.remark("no two are nearly the same");
    if (failed > 0) return failed === ids.length ? exitCodes.unusable : exitCodes.someFailed;
    return exitCodes.success;
  } finally {
    await opened.close();
  }
}

async function assertKnown(catalogue: RetrievalPort, ids: readonly string[]): Promise<void> {
  const known = await findKnownIds(catalogue, ids);
  const missing = ids.find((id) => !known.has(id));
  if (missing !== undefined) throw await modelNotFound(catalogue, missing, false);
}

function toCells(id: string, { modelId, cosine, hasSameWeights }: Duplicate): string[] {
  return [
    keepEnd(toPlain(id), idWidth),
    keepEnd(toPlain(modelId), idWidth),
    cosine.toFixed(4),
    hasSameWeights ? "the same" : "others",
  ];
}

function toJson(model: string, { modelId, spaceId, cosine, hasSameWeights }: Duplicate): object {
  return { model, copy: modelId, cosine, hasSameWeights, spaceId };
}
