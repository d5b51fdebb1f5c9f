import type { Command } from "commander";
import type { ModelRecord } from "../../retrieval/retrieval-port.js";
import type { CommandContext } from "../command-context.js";
import { toCount } from "../embed-report.js";
import { exitCodes } from "../exit-codes.js";
import { toFieldText } from "../field-text.js";
import { selectSpaces, toFilterIn } from "../find-space.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord, parseCount } from "../option-values.js";
import { filterHelp } from "../parse-filter.js";
import { collectField, toFilter } from "../query-options.js";
import { toMetadataText, toRecordJson } from "../record-text.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { type Column, keepEnd, toFurtherColumns, toHeading, toPlain, toRow, toRule, widthOf } from "../table.js";

interface ListOptions extends RetrievalOptions {
  readonly space?: readonly string[];
  readonly where?: readonly string[];
  readonly limit?: number;
  readonly show?: readonly string[];
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
    .option("--show <field>", "further column of the table, such as claim.title; repeatable", collectField)
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
    const shown = toFurtherColumns(options.show ?? [], columns);
    const table = createTable(shown);
    let count = 0;
    let hasMore = false;
    const print = async (lines: readonly string[]): Promise<void> => {
      for (const line of lines) await terminal.print(line);
    };
    const wanted = selectSpaces(spaces, options.space ?? []);
    for (const space of wanted) {
      const { spaceId, expertName } = space;
      const own = toFilterIn(space, wanted, filter);
      let pageToken = "";
      do {
        signal.throwIfAborted();
        const size = Math.min(pageSize, limit - count);
        hasMore ||= size < 1;
        if (size < 1) break;
        const page = await opened.catalogue.listModels({ space: spaceId, filter: own, pageSize: size, pageToken });
        if (options.json === true) await print(page.records.map((one) => JSON.stringify(toRecordJson(one, false))));
        else await print(table.add(page.records, expertName));
        count += page.records.length;
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
    }
    await print(table.end());
    if (count === 0) terminal.remark(filter === undefined ? "no models" : "no model fits");
    if (count > 0 && !hasMore && options.json !== true) terminal.remark(toCount(count, "record"));
    if (hasMore) terminal.remark(`the first ${count}; --limit sets how many`);
    return exitCodes.success;
  } finally {
    await opened.close();
  }
}

/** A table that is written while pages come: its columns are as wide as those of the first 200 models need. */
interface Table {
  add(records: readonly ModelRecord[], expertName: string): readonly string[];
  end(): readonly string[];
}

function createTable(fields: readonly string[]): Table {
  // What is said of a model is the last column: it may be long.
  const all = [...columns.slice(0, -1), ...fields.map((title) => ({ title })), ...columns.slice(-1)];
  let waiting: string[][] = [];
  let widths: readonly number[] | undefined;
  const flush = (): readonly string[] => {
    const rows = waiting;
    waiting = [];
    if (rows.length === 0) return [];
    const head = widths === undefined;
    const shown = widths ?? toWidths(all, rows);
    widths = shown;
    const lines = rows.map((row) => toRow(all, shown, row));
    return head ? [toHeading(all, shown), toRule(shown), ...lines] : lines;
  };
  return {
    add: (records, expertName) => {
      waiting.push(...records.map((record) => toCells(record, expertName, fields)));
      return waiting.length < pageSize ? [] : flush();
    },
    end: flush,
  };
}

/** What follows the last column is nothing. */
function toWidths(all: readonly Column[], rows: readonly (readonly string[])[]): readonly number[] {
  return all.map(({ title }, index) => {
    const cells = index < all.length - 1 ? rows.map((row) => row[index] ?? "") : [];
    return cells.reduce((widest, cell) => Math.max(widest, widthOf(cell)), widthOf(title));
  });
}

function toCells(record: ModelRecord, expertName: string, fields: readonly string[]): string[] {
  const { id, tree, base, metadata } = record;
  return [
    keepEnd(toPlain(id), idWidth),
    toPlain(expertName),
    toPlain(tree) || "-",
    toPlain(base) || "-",
    ...fields.map((field) => toPlain(toFieldText(record, field)) || "-"),
    toMetadataText(metadata),
  ];
}
