import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { toCount } from "../embed-report.js";
import { exitCodes, usageError } from "../exit-codes.js";
import { findAllIds, findKnownIds, modelNotFound } from "../find-models.js";
import { findSpace } from "../find-space.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord } from "../option-values.js";
import { filterHelp } from "../parse-filter.js";
import { toFilter } from "../query-options.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";

interface DeleteOptions extends RetrievalOptions {
  readonly where?: readonly string[];
  readonly space?: string;
  readonly yes?: boolean;
}

const help = `
Without --space models go from all spaces. Files are not touched.
${storeHelp}${filterHelp}
Exit codes: 0 all are gone; 1 some were not there; 2 the command line is wrong, or --yes is
missing; 3 no server, no store, or none was there.

Examples:
  $ probestream catalogue delete old-1.safetensors old-2.safetensors
  $ probestream catalogue delete --where 'meta.license = unknown'
      says how many that would be
  $ probestream catalogue delete --where 'meta.license = unknown' --yes
`;

/** Ids of one call. */
const idsAtOnce = 1000;

/** Adds `catalogue delete`. */
export function addCatalogueDelete(catalogue: Command, context: CommandContext): void {
  const command = catalogue
    .command("delete")
    .summary("remove models")
    .description("Removes models from the catalogue.")
    .argument("[id...]", "ids of models")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option("--where <filter>", "all models that fit; repeatable, all must hold; needs --yes", collectWord)
    .option("--space <name>", "remove them from this space alone, by its expert's name or space id")
    .option("--yes", "with --where: do it; without it nothing is removed")
    .action(async (ids: readonly string[], options: DeleteOptions) => {
      context.exit(await remove(ids, options, context));
    });
}

async function remove(words: readonly string[], options: DeleteOptions, context: CommandContext): Promise<number> {
  const { terminal, signal } = context;
  const filter = toFilter(options.where);
  if ((filter === undefined) === (words.length === 0)) {
    throw usageError("models are named by their ids or by --where, one of the two");
  }
  const opened = await openCatalogueOf(options, context);
  try {
    const { catalogue } = opened;
    const { spaces } = await catalogue.listSpaces();
    const space = options.space === undefined ? undefined : findSpace(spaces, options.space);
    const from = space === undefined ? spaces : [space];
    const ids =
      filter === undefined ? [...new Set(words)] : await findAllIds(catalogue, { spaces: from, filter, signal });
    if (filter !== undefined && options.yes !== true) {
      throw usageError(`${toCount(ids.length, "model")} would be removed; --yes does it`);
    }
    const known = filter === undefined ? await findKnownIds(catalogue, ids) : new Set(ids);
    const missing = ids.filter((id) => !known.has(id));
    const [first] = missing;
    const error = first === undefined ? undefined : await modelNotFound(catalogue, first, false);
    if (error !== undefined && known.size === 0) throw error;
    let deleted = 0;
    for (let at = 0; at < ids.length; at += idsAtOnce) {
      signal.throwIfAborted();
      deleted += await catalogue.deleteModels(ids.slice(at, at + idsAtOnce), space?.spaceId);
    }
    terminal.remark(`${toCount(deleted, "model")} removed`);
    if (error === undefined) return exitCodes.success;
    terminal.remark(error.message);
    for (const id of missing.slice(1)) terminal.remark(`no model ${JSON.stringify(id)} in the catalogue`);
    return exitCodes.someFailed;
  } finally {
    await opened.close();
  }
}
