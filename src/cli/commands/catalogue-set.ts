import type { Command } from "commander";
import type { Scalar } from "../../vectors/filter.js";
import type { MetadataPatch } from "../../vectors/vector-store.js";
import type { CommandContext } from "../command-context.js";
import { toCount } from "../embed-report.js";
import { usageError } from "../exit-codes.js";
import { modelNotFound } from "../find-models.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord } from "../option-values.js";
import { collectMetadata, toFieldName } from "../parse-scalar.js";
import { toRecordJson } from "../record-text.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { toPlain } from "../table.js";

interface SetOptions extends RetrievalOptions {
  readonly remove?: readonly string[];
  readonly json?: boolean;
}

const help = `
8 and 0.5 are numbers, true and false are truths, all else is text; a text in double quotes
(inside those of the shell) is one whatever stands in it: 'version="1.0"'. Filters name the
field meta.NAME. What a file claims of itself, its hashes and its tree cannot be set.
${storeHelp}
Exit codes: 0 done; 2 the command line is wrong; 3 no server, no store, no such model.

Examples:
  $ probestream catalogue set jazz-lora-1.safetensors license=mit rank=16 nsfw=false
  $ probestream catalogue set jazz-lora-1.safetensors --remove license
  $ probestream catalogue list --where 'claim.license = mit' --json | jq -r .id |
      while read -r id; do probestream catalogue set "$id" license=mit; done
`;

/** Adds `catalogue set`. */
export function addCatalogueSet(catalogue: Command, context: CommandContext): void {
  const command = catalogue
    .command("set")
    .summary("say something of a model, or take it back")
    .description("Changes what is said of a model, in all spaces at once.")
    .argument("<id>", "the model's id")
    .argument("[name=value...]", "what is said of it from now on")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option("--remove <name>", "field to take away; repeatable", collectWord)
    .option("--json", "print the model's records as they are then")
    .action(async (id: string, words: readonly string[], options: SetOptions) => {
      await set(id, words, options, context);
    });
}

async function set(id: string, words: readonly string[], options: SetOptions, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const changes = words.reduce<Readonly<Record<string, Scalar>>>((so, word) => collectMetadata(word, so), {});
  const removed = (options.remove ?? []).map(toFieldName);
  const both = removed.find((name) => Object.hasOwn(changes, name));
  if (both !== undefined) throw usageError(`${JSON.stringify(both)} cannot be set and removed at once`);
  const patch: MetadataPatch = Object.fromEntries([
    ...Object.entries(changes),
    ...removed.map((name): [string, null] => [name, null]),
  ]);
  if (Object.keys(patch).length === 0) throw usageError("nothing is to be changed; give NAME=VALUE, or --remove NAME");
  const opened = await openCatalogueOf(options, context);
  try {
    const before = await opened.catalogue.getModels({ modelIds: [id] });
    if (before.length === 0) throw await modelNotFound(opened.catalogue, id, false);
    const names = new Set(before.flatMap(({ metadata }) => Object.keys(metadata)));
    for (const name of removed) {
      if (names.has(name)) continue;
      const has = names.size === 0 ? "it has none" : `it has ${[...names].join(", ")}`;
      terminal.remark(toPlain(`--remove: nothing was said of the model as ${JSON.stringify(name)}; ${has}`));
    }
    const records = await opened.catalogue.updateModel(id, patch);
    if (options.json === true) {
      for (const record of records) await terminal.print(JSON.stringify(toRecordJson(record, false)));
    } else if (Object.keys(changes).length === 0 && !removed.some((name) => names.has(name))) {
      terminal.remark("nothing was changed");
    } else terminal.remark(`changed in ${toCount(records.length, "space")}`);
  } finally {
    await opened.close();
  }
}
