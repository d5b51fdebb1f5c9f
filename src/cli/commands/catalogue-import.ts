import type { Command } from "commander";
import { InvalidInputError } from "../../errors/probestream-error.js";
import type { VectorRecord } from "../../vectors/vector-record.js";
import type { CommandContext } from "../command-context.js";
import { toCount } from "../embed-report.js";
import { CommandError, exitCodes } from "../exit-codes.js";
import { toSpaceLabel } from "../find-space.js";
import { type OpenedCatalogue, openCatalogueOf } from "../open-retrieval.js";
import { openExport } from "../read-export.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { toPlain } from "../table.js";

interface ImportOptions extends RetrievalOptions {
  readonly fill?: boolean;
}

const help = `
Reads what \`probestream export\` writes (jsonl). Representations, metadata, hashes and times
come back bit for bit. A model that is there under the same id is replaced. An import that
broke off is simply given again.
${storeHelp}
Exit codes: 0 all records are there; 2 the command line is wrong; 3 no server, no store, or
a file that cannot be read to its end: the line is named, and the records before it are there.

Examples:
  $ probestream catalogue import loras.jsonl --local
  $ probestream export --server old:50051 | probestream catalogue import - --server new:50051
      from one server to another
`;

/** Adds `catalogue import`. */
export function addCatalogueImport(catalogue: Command, context: CommandContext): void {
  const command = catalogue
    .command("import")
    .summary("read back what `export` wrote")
    .description("Takes in models as `probestream export` wrote them.")
    .argument("<file...>", "JSON lines, one space per file; - for standard input")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option("--fill", "a space that is new is not searched until `catalogue switch`")
    .action(async (files: readonly string[], options: ImportOptions) => {
      const opened = await openCatalogueOf(options, context, { makesStore: true });
      try {
        for (const file of files) await importFile(file, options, opened, context);
      } finally {
        await opened.close();
      }
    });
}

async function importFile(
  file: string,
  { fill }: ImportOptions,
  { catalogue }: OpenedCatalogue,
  { terminal, signal }: CommandContext,
): Promise<void> {
  const reader = await openExport(file);
  const close = (): void => reader.close();
  signal.addEventListener("abort", close, { once: true });
  const { spaceId, expertName } = reader.head;
  let sent = 0;
  // What goes wrong with the file is told when the records before it are there, and not instead.
  let failure: unknown;
  async function* batches(): AsyncGenerator<readonly VectorRecord[], void, undefined> {
    try {
      for await (const batch of reader.batches()) {
        signal.throwIfAborted();
        yield batch;
        sent += batch.length;
        terminal.showStatus(`${file}: ${sent} records sent`);
      }
    } catch (error) {
      failure = error;
    }
  }
  try {
    const space = { spaceId, expertName, ...(fill === true && { fill }) };
    const count = await catalogue.importModels(space, batches(), signal);
    signal.throwIfAborted();
    terminal.showStatus("");
    terminal.remark(toPlain(`${file}: ${toCount(count, "record")} imported into ${toSpaceLabel(space)}`));
    // The command line is right; the file is not.
    if (failure instanceof InvalidInputError) {
      throw new CommandError(failure.message, exitCodes.unusable, { cause: failure });
    }
    if (failure !== undefined) throw failure;
  } finally {
    signal.removeEventListener("abort", close);
    terminal.showStatus("");
    reader.close();
  }
}
