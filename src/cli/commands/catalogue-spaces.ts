import type { Command } from "commander";
import type { CatalogueSpace } from "../../retrieval/retrieval-port.js";
import type { CommandContext } from "../command-context.js";
import { toCount } from "../embed-report.js";
import { exitCodes, usageError } from "../exit-codes.js";
import { findSpace, toSpaceLabel } from "../find-space.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord } from "../option-values.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { type Column, toPlain, toTable } from "../table.js";

const spacesHelp = `
A space holds the representations that one expert made; only they compare. It is filling
(takes models, is not searched until it is switched to), serving, or retired (was switched
from).
${storeHelp}
Exit codes: 0 there are spaces; 2 the command line is wrong; 3 no server, no store, or
nothing was indexed yet.

Examples:
  $ probestream catalogue spaces
  $ probestream catalogue spaces --local --json | jq -r .fields[]
      which fields may --where name?
`;

const columns: readonly Column[] = [
  { title: "expert" },
  { title: "space id" },
  { title: "state" },
  { title: "models", align: "right" },
  { title: "width", align: "right" },
  { title: "scores" },
  { title: "fields" },
];

/** Fields that a table names. */
const fieldsShown = 6;

/** Adds `catalogue spaces`. */
export function addCatalogueSpaces(catalogue: Command, context: CommandContext): void {
  const command = catalogue
    .command("spaces")
    .summary("list spaces: one per expert that models were indexed under")
    .description("Lists the spaces of the catalogue, one per expert that models were indexed under.")
    .addHelpText("after", spacesHelp);
  addRetrievalOptions(command, context.environment.server)
    .option("--json", "one JSON object per line instead of a table")
    .action(async (options: RetrievalOptions & { readonly json?: boolean }) => {
      context.exit(await printSpaces(options, context));
    });
}

async function printSpaces(
  options: RetrievalOptions & { readonly json?: boolean },
  context: CommandContext,
): Promise<number> {
  const { terminal } = context;
  const opened = await openCatalogueOf(options, context);
  try {
    const { store, spaces } = await opened.catalogue.listSpaces();
    const lines =
      options.json === true
        ? spaces.map((space) => JSON.stringify(space))
        : spaces.length > 0
          ? toTable(columns, spaces.map(toCells))
          : [];
    for (const line of lines) await terminal.print(line);
    if (
      options.json !== true &&
      spaces.some(({ isCalibrated, isExpertPresent }) => !isCalibrated && !isExpertPresent)
    ) {
      terminal.remark("expert absent: its folder is not among the experts; give that folder's with --experts");
    }
    const models = spaces.reduce((sum, { count }) => sum + count, 0);
    const empty = ": nothing was indexed yet; `probestream index FOLDER` does";
    terminal.remark(
      toPlain(`${store}: ${spaces.length === 0 ? `no space${empty}` : `${toCount(models, "record")} in all`}`),
    );
    return spaces.length === 0 ? exitCodes.unusable : exitCodes.success;
  } finally {
    await opened.close();
  }
}

function toCells({
  expertName,
  spaceId,
  state,
  count,
  indexed,
  width,
  fields,
  isCalibrated,
  isExpertPresent,
}: CatalogueSpace): string[] {
  const shown = fields.slice(0, fieldsShown).join(", ");
  return [
    expertName,
    spaceId.slice(0, 12),
    state,
    indexed === count ? String(count) : `${count} (${indexed} in the index)`,
    String(width),
    isCalibrated ? "calibrated" : isExpertPresent ? "cosines only" : "expert absent",
    fields.length > fieldsShown ? `${shown}, … (${fields.length})` : shown || "-",
  ];
}

const switchHelp = `
To move to a new expert without a gap: \`probestream index FOLDER --expert NEW --fill\`, as
often as it takes, while the old space is searched; then switch. The old space holds its
models until it is dropped, so that switching back is one command as well.

Examples:
  $ probestream catalogue switch loras-v2 --retire loras-v1
  $ probestream catalogue switch 4f0c21aa --local
      by the beginning of the space id; nothing is retired
`;

/** Adds `catalogue switch`. */
export function addCatalogueSwitch(catalogue: Command, context: CommandContext): void {
  const command = catalogue
    .command("switch")
    .summary("search other spaces from now on")
    .description("Lets spaces be searched, and others not any more, all at once.")
    .argument("<space...>", "spaces that serve from now on: experts' names or space ids")
    .addHelpText("after", switchHelp);
  addRetrievalOptions(command, context.environment.server)
    .option("--retire <space>", "space that is searched no more; repeatable", collectWord)
    .action(async (words: readonly string[], options: RetrievalOptions & { readonly retire?: readonly string[] }) => {
      const opened = await openCatalogueOf(options, context);
      try {
        const { spaces } = await opened.catalogue.listSpaces();
        const serve = words.map((word) => findSpace(spaces, word));
        const retire = (options.retire ?? []).map((word) => findSpace(spaces, word));
        const both = serve.find((space) => retire.includes(space));
        if (both !== undefined) throw usageError(`${toSpaceLabel(both)} cannot serve and be retired at once`);
        await opened.catalogue.switchSpaces({
          serve: serve.map(({ spaceId }) => spaceId),
          retire: retire.map(({ spaceId }) => spaceId),
        });
        for (const space of serve) context.terminal.remark(toPlain(`${toSpaceLabel(space)} serves`));
        for (const space of retire) context.terminal.remark(toPlain(`${toSpaceLabel(space)} is retired`));
      } finally {
        await opened.close();
      }
    });
}

const dropHelp = `
Examples:
  $ probestream catalogue drop loras-v1
      says how many models would go
  $ probestream catalogue drop loras-v1 --yes
`;

/** Adds `catalogue drop`. */
export function addCatalogueDrop(catalogue: Command, context: CommandContext): void {
  const command = catalogue
    .command("drop")
    .summary("remove a space with all its models")
    .description("Removes a space with all its models; they stay in other spaces.")
    .argument("<space>", "expert's name or space id")
    .addHelpText("after", dropHelp);
  addRetrievalOptions(command, context.environment.server)
    .option("--yes", "do it; without it nothing is removed")
    .action(async (word: string, options: RetrievalOptions & { readonly yes?: boolean }) => {
      const opened = await openCatalogueOf(options, context);
      try {
        const { spaces } = await opened.catalogue.listSpaces();
        const space = findSpace(spaces, word);
        const what = `${toSpaceLabel(space)} with ${toCount(space.count, "model")}`;
        if (options.yes !== true) throw usageError(`${what} would be removed; --yes does it`);
        await opened.catalogue.dropSpace(space.spaceId);
        context.terminal.remark(toPlain(`${what} is removed`));
      } finally {
        await opened.close();
      }
    });
}
