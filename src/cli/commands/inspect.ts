import type { Command } from "commander";
import { toProbestreamError } from "../../errors/plain-error.js";
import { openCatalogue } from "../../experts/catalogue.js";
import type { Expert } from "../../experts/expert.js";
import { openModel } from "../../weights/model-file.js";
import type { CommandContext } from "../command-context.js";
import { createDescriptionTable } from "../description-table.js";
import { toDescriptionJson, toDescriptionLines } from "../description-text.js";
import { exitCodes } from "../exit-codes.js";
import { type Failure, toFailureLines } from "../failures.js";
import { findLocations } from "../find-locations.js";
import { describeModel } from "../model-description.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { toErrorJson } from "../result-writer.js";

interface InspectOptions {
  readonly experts?: string;
  readonly all?: boolean;
  readonly json?: boolean;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
}

const help = `
Exit codes: 0 all headers read; 1 some files could not be read; 2 the command line is
wrong; 3 no model that could be read.

Examples:
  $ probestream inspect lora.safetensors
      tensors, LoRA layers with their ranks, metadata
  $ probestream inspect models/ --experts experts/
      which experts could embed each model, and why the others cannot
  $ probestream inspect https://huggingface.co/OWNER/NAME/resolve/main/model.safetensors.index.json
      a model of many shards: only their headers are read
  $ probestream inspect lora.safetensors --json | jq '.lora[].module'
`;

/** Adds `inspect`. */
export function addInspect(program: Command, context: CommandContext): void {
  program
    .command("inspect")
    .description(
      "Shows tensors, types, LoRA layers and metadata of a model; of several, one line each (--all shows\n" +
        "everything). Only headers are read.",
    )
    .argument("<model...>", "files, folders (searched with all folders in them) and http(s) URLs")
    .option("--experts <folder>", "say which experts of this folder would fit")
    .option("--all", "list every tensor of every model, instead of tensors that differ in numbers only on one line")
    .option("--json", "one JSON object per line")
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .addHelpText("after", help)
    .action(async (paths: readonly string[], options: InspectOptions) => {
      context.exit(await inspect(paths, options, context));
    });
}

async function inspect(paths: readonly string[], options: InspectOptions, context: CommandContext): Promise<number> {
  const { signal, terminal, environment } = context;
  const { experts }: { readonly experts: readonly Expert[] } =
    options.experts === undefined ? { experts: [] } : await openCatalogue(options.experts).list();
  const { locations, failures: unreadable } = await findLocations(paths, signal);
  const { header: headers, token } = options;
  const modelOptions = toModelOptions({ headers, token, hubToken: environment.hubToken });
  const failures: Failure[] = [...unreadable];
  const isTable = locations.length > 1 && options.all !== true && options.json !== true;
  const table = isTable ? createDescriptionTable(locations, options.experts !== undefined) : undefined;
  let heading = table?.heading ?? [];
  for (const location of locations) {
    signal.throwIfAborted();
    try {
      const model = await openModel(location, { ...modelOptions(location), signal });
      await model.close();
      const description = describeModel(model, experts);
      const lines =
        table !== undefined
          ? [table.toLine(description)]
          : options.json
            ? [toDescriptionJson(description)]
            : toDescriptionLines(description, options.all === true);
      for (const line of [...heading, ...lines]) await terminal.print(line);
      heading = [];
    } catch (error) {
      signal.throwIfAborted();
      failures.push({ file: location, error: toProbestreamError(error) });
    }
  }
  if (failures.length === 0) return exitCodes.success;
  if (options.json) for (const { file, error } of failures) await terminal.print(toErrorJson(file, error));
  terminal.remark(`${failures.length} could not be read:`);
  for (const line of toFailureLines(failures, context.isDebug)) terminal.remark(line);
  return failures.length - unreadable.length === locations.length ? exitCodes.unusable : exitCodes.someFailed;
}
