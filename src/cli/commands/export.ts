import { type Command, Option } from "commander";
import type { CommandContext } from "../command-context.js";
import { toCount } from "../embed-report.js";
import { CommandError, exitCodes, usageError } from "../exit-codes.js";
import { type ExportFormat, exportFormats, openExportSink } from "../export-sinks.js";
import { selectSpaces, toSpaceLabel } from "../find-space.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord } from "../option-values.js";
import { filterHelp } from "../parse-filter.js";
import { toFilter } from "../query-options.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { toPlain } from "../table.js";

interface ExportOptions extends RetrievalOptions {
  readonly space?: string;
  readonly where?: readonly string[];
  readonly format: ExportFormat;
  readonly out?: string;
  readonly quiet?: boolean;
}

const help = `
Formats:
  jsonl        all that is known, representations as base64 of float32 numbers; the first
               line names the space, the last counts the records. \`catalogue import\` reads it
               back bit for bit.
  safetensors  representations [n, width] in F32, and NAME.records.jsonl beside it with all
               else, line by line in the order of the rows; for other programs
  csv          a table of what is known, without representations; for people

A file takes its place when it is whole; an export that breaks off leaves none.
${storeHelp}${filterHelp}
Exit codes: 0 exported; 2 the command line is wrong; 3 no server, no store, no such
space, an empty catalogue; 130 interrupted.

Examples:
  $ probestream export > all.jsonl
  $ probestream export --space pictures --where 'meta.license = mit' --out mit.jsonl
  $ probestream export --format safetensors --out all.safetensors --local
  $ probestream export --format csv --out all.csv
`;

/** Adds `export`. */
export function addExport(program: Command, context: CommandContext): void {
  const command = program
    .command("export")
    .description("Writes a space of the catalogue: representations and all that is known of their models.")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option("--space <name>", "expert's name or space id (default: the only one that serves)")
    .option("--where <filter>", "only models that fit, see below; repeatable, all must hold", collectWord)
    .addOption(new Option("--format <format>", "form of the export").choices(exportFormats).default("jsonl"))
    .option("--out <file>", "file to write (default: standard output)")
    .option("--quiet", "no progress and no remarks")
    .action(async (options: ExportOptions) => {
      await exportSpace(options, context);
    });
}

async function exportSpace(options: ExportOptions, context: CommandContext): Promise<void> {
  const { terminal, signal } = context;
  const { format, out: path } = options;
  const filter = toFilter(options.where);
  const opened = await openCatalogueOf(options, context);
  try {
    const { spaces } = await opened.catalogue.listSpaces();
    const [space, ...others] = selectSpaces(spaces, options.space === undefined ? [] : [options.space]);
    if (space === undefined) {
      throw new CommandError("the catalogue is empty; `probestream index FOLDER` fills it", exitCodes.unusable);
    }
    if (others.length > 0) {
      const labels = [space, ...others].map(toSpaceLabel).join(", ");
      throw usageError(`an export is of one space; name it with --space: ${labels}`);
    }
    const sink = await openExportSink({ space, format, path }, terminal);
    let count = 0;
    try {
      for await (const records of opened.catalogue.exportModels({ space: space.spaceId, filter }, signal)) {
        await sink.add(records);
        count += records.length;
        if (options.quiet !== true) terminal.showStatus(`${count} of ${space.count} records`);
      }
      signal.throwIfAborted();
      await sink.finish();
    } finally {
      terminal.showStatus("");
      await sink.discard();
    }
    if (options.quiet === true) return;
    const to = path === undefined ? "" : ` to ${path}`;
    terminal.remark(toPlain(`${toCount(count, "record")} of ${toSpaceLabel(space)} exported${to}`));
  } finally {
    await opened.close();
  }
}
