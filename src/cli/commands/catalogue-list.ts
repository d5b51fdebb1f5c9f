import type { Command } from "commander";
import type { ModelRecord } from "../../retrieval/retrieval-port.js";
import type { CommandContext } from "../command-context.js";
import { exitCodes } from "../exit-codes.js";
import { selectSpaces } from "../find-space.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord, parseCount } from "../option-values.js";
import { filterHelp } from "../parse-filter.js";
import { toFilter } from "../query-options.js";
import { toMetadataText, toRecordJson } from "../record-text.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { type Column, keepEnd, toHeading, toPlain, toRow, toRule, widthOf } from "../table.js";

interface ListOptions extends RetrievalOptions {
  readonly space?: readonly string[];
  readonly where?: readonly string[];
  readonly limit?: number;
  readonly json?: boolean;
}

const help = `
${storeHelp.trim()}
${filterHelp}
Exit codes: 0 listed, also if there is none; 2 the command line is wrong; 3 no server, no
store, no such space.

Examples:
  $ probestream catalogue list --limit 20
  $ probestream catalogue list --where 'not exists meta.license' --json | jq -r .id
      models of which no licence is known
`;

const columns: readonly Column[] = [
  { title: "model" },
  { title: "expert" },
  { title: "tree" },
  { title: "base" },
  { title: "metadata" },
];

/** Models of one page, by whose widths the table is set. */
const pageSize = 200;

/** Widest id. */
const idWidth = 60;

/** Adds `catalogue list`. */
export function addCatalogueList(catalogue: Command, context: CommandContext): void {
  const command = catalogue
    .command("list")
    .summary("list models")
    .description("Lists models of the catalogue, ordered by id, space by space.")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option("--space <name>", "expert's name or space id; repeatable (default: all that serve)", collectWord)
    .option("--where <filter>", "condition on models, see below; repeatable, all must hold", collectWord)
    .option("--limit <n>", "models at most", parseCount)
    .option("--json", "one JSON object per line instead of a table")
    .action(async (options: ListOptions) => {
      context.exit(await list(options, context));
    });
}

async function list(options: ListOptions, context: CommandContext): Promise<number> {
  const { terminal, signal } = context;
  const filter = toFilter(options.where);
  const { limit = Number.POSITIVE_INFINITY } = options;
  const opened = await openCatalogueOf(options, context);
  try {
    const { spaces } = await opened.catalogue.listSpaces();
    let count = 0;
    let hasMore = false;
    for (const { spaceId, expertName } of selectSpaces(spaces, options.space ?? [])) {
      let pageToken = "";
      do {
        signal.throwIfAborted();
        const size = Math.min(pageSize, limit - count);
        if (size < 1) break;
        const page = await opened.catalogue.listModels({ space: spaceId, filter, pageSize: size, pageToken });
        for (const line of options.json === true
          ? page.records.map((record) => JSON.stringify(toRecordJson(record, false)))
          : toLines(page.records, expertName, count === 0)) {
          await terminal.print(line);
        }
        count += page.records.length;
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      hasMore ||= pageToken !== "";
    }
    if (count === 0) terminal.remark(filter === undefined ? "no models" : "no model fits");
    if (hasMore) terminal.remark(`there are more than ${limit} (--limit)`);
    return exitCodes.success;
  } finally {
    await opened.close();
  }
}

function toLines(records: readonly ModelRecord[], expertName: string, isFirst: boolean): string[] {
  const rows = records.map(({ id, tree, base, metadata }) => [
    keepEnd(toPlain(id), idWidth),
    toPlain(expertName),
    toPlain(tree) || "-",
    toPlain(base) || "-",
    toMetadataText(metadata),
  ]);
  const widths = columns.map(({ title }, index) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[index] ?? "")), widthOf(title)),
  );
  const shown = [...widths.slice(0, -1), columns.at(-1)?.title.length ?? 0];
  const head = isFirst && rows.length > 0 ? [toHeading(columns, shown), toRule(shown)] : [];
  return [...head, ...rows.map((row) => toRow(columns, shown, row))];
}
