import type { Command } from "commander";
import type { CommandContext } from "../command-context.js";
import { addCatalogueDelete } from "./catalogue-delete.js";
import { addCatalogueDuplicates } from "./catalogue-duplicates.js";
import { addCatalogueGet } from "./catalogue-get.js";
import { addCatalogueImport } from "./catalogue-import.js";
import { addCatalogueList } from "./catalogue-list.js";
import { addCatalogueSet } from "./catalogue-set.js";
import { addCatalogueDrop, addCatalogueSpaces, addCatalogueSwitch } from "./catalogue-spaces.js";
import { addCatalogueCompact, addCatalogueRestore, addCatalogueSnapshot } from "./catalogue-upkeep.js";

const help = `
Models come in by \`probestream index\`, and \`probestream export\` takes them all out again.

Examples:
  $ probestream catalogue spaces --local
      what is in the store in this folder?
  $ probestream catalogue list --where 'meta.license = mit'
  $ probestream catalogue set jazz-lora-1.safetensors license=mit rank=16

\`probestream catalogue COMMAND --help\` has the options and more examples of each.
`;

/** Adds `catalogue` with its subcommands. */
export function addCatalogue(program: Command, context: CommandContext): void {
  const catalogue = program
    .command("catalogue")
    .description("Looks after the models that were indexed: what they are called, what is known of them.")
    .addHelpText("after", help);
  for (const add of [
    ...[addCatalogueSpaces, addCatalogueList, addCatalogueGet, addCatalogueSet, addCatalogueDelete],
    ...[addCatalogueDuplicates, addCatalogueSwitch, addCatalogueDrop, addCatalogueImport],
    ...[addCatalogueCompact, addCatalogueSnapshot, addCatalogueRestore],
  ]) {
    add(catalogue, context);
  }
}
