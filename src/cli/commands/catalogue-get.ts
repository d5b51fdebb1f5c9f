import { type Command, Option } from "commander";
import type { CommandContext } from "../command-context.js";
import { exitCodes, toExitCode, usageError } from "../exit-codes.js";
import { modelNotFound } from "../find-models.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord } from "../option-values.js";
import { toRecordJson, toRecordLines } from "../record-text.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { readSpaceNames } from "../space-names.js";

interface GetOptions extends RetrievalOptions {
  readonly hash?: readonly string[];
  readonly space?: readonly string[];
  readonly representation?: boolean;
  readonly json?: boolean;
}

const help = `
A model is shown once for each space that it is in. tree is the Model Tree that accepted it;
meta.NAME is what was said of it, claim.NAME what its file says of itself.
${storeHelp}
Exit codes: 0 all are there; 1 some are not; 2 the command line is wrong; 3 no server, no
store, or none is there.

Examples:
  $ probestream catalogue get jazz-lora-1.safetensors
  $ probestream catalogue get --hash 5f2c…
      the model whose layer has this hash (weights_hash), whatever it is called
  $ probestream catalogue get a.safetensors --representation --json
`;

/** Ids of one call. */
const idsAtOnce = 1000;

/** Adds `catalogue get`. */
export function addCatalogueGet(catalogue: Command, context: CommandContext): void {
  const command = catalogue
    .command("get")
    .summary("show all that is known of models")
    .description("Shows all that is known of models.")
    .argument("[id...]", "ids of models")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option("--hash <sha256>", "a model by the hash of its weights; repeatable", collectWord)
    .option("--space <name>", "only this space, by its expert's name or space id; repeatable", collectWord)
    .addOption(new Option("--representation", "with --json: its numbers as well").implies({ json: true }))
    .option("--json", "one JSON object per line")
    .action(async (ids: readonly string[], options: GetOptions) => {
      context.exit(await get(ids, options, context));
    });
}

async function get(ids: readonly string[], options: GetOptions, context: CommandContext): Promise<number> {
  const { terminal } = context;
  const hashes = options.hash ?? [];
  if (ids.length + hashes.length === 0) throw usageError("nothing is asked for; give ids of models, or --hash");
  const opened = await openCatalogueOf(options, context);
  try {
    const nameOf = options.json === true ? undefined : await readSpaceNames(opened.catalogue);
    const spaces = options.space ?? [];
    const seen = new Set<string>();
    for (let at = 0; at < Math.max(ids.length, hashes.length); at += idsAtOnce) {
      const wanted = {
        ...{ modelIds: ids.slice(at, at + idsAtOnce), weightsHashes: hashes.slice(at, at + idsAtOnce), spaces },
      };
      for (const record of await opened.catalogue.getModels(wanted)) {
        seen.add(record.id).add(record.weightsHash);
        const lines =
          nameOf === undefined
            ? [JSON.stringify(toRecordJson(record, options.representation === true))]
            : toRecordLines(record, nameOf(record.spaceId));
        for (const line of lines) await terminal.print(line);
      }
    }
    const missing = [...ids, ...hashes].filter((word) => !seen.has(word));
    const [first] = missing;
    if (first === undefined) return exitCodes.success;
    const error = await modelNotFound(opened.catalogue, first, false);
    if (seen.size === 0 && missing.length === 1) throw error;
    terminal.remark(error.message);
    for (const word of missing.slice(1)) terminal.remark(`no model ${JSON.stringify(word)} in the catalogue`);
    return seen.size === 0 ? toExitCode(error) : exitCodes.someFailed;
  } finally {
    await opened.close();
  }
}
