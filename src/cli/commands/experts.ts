import { type Command, Option } from "commander";
import { openCatalogue } from "../../experts/catalogue.js";
import type { CommandContext } from "../command-context.js";
import { addConnectionOptions } from "../connection-options.js";
import { exitCodes } from "../exit-codes.js";
import { type ExpertListing, type ExpertSummary, listExperts } from "../expert-summary.js";
import { type ConnectionOptions, connectToServer, type ServerDefaults } from "../server-connection.js";
import { type Column, toPlain, toTable } from "../table.js";
import { addExpertsCalibrate } from "./experts-calibrate.js";

interface ExpertsOptions extends ConnectionOptions {
  readonly experts?: string;
  readonly json?: boolean;
}

const help = `
Exit codes: 0 there are experts and all are usable; 1 some folders are not; 2 the command
line is wrong; 3 no connection, or no expert.

Examples:
  $ probestream experts
      what the server on this machine has
  $ probestream experts --experts experts/
      what a folder of expert folders has, without a server
  $ probestream experts calibrate experts/mine models/
      lets an expert refuse models that are not like these: see its --help
  $ probestream experts --json | jq -r 'select(.objective == "zeroshot").spaceId'
      one JSON object per line
`;

const columns: readonly Column[] = [
  { title: "name" },
  { title: "space id" },
  { title: "objective" },
  { title: "layer" },
  { title: "shape", align: "right" },
  { title: "architecture" },
  { title: "repr.", align: "right" },
  { title: "tree" },
  { title: "labels" },
];

/** Adds `experts`. */
export function addExperts(program: Command, context: CommandContext): void {
  const command = program
    .command("experts")
    .description("Lists experts: what each is called, which layer it reads, and what it answers.")
    .addHelpText("after", help);
  addConnectionOptions(command, context.environment.server)
    .addOption(new Option("--experts <folder>", "look into a folder of expert folders").conflicts("server"))
    .option("--json", "one JSON object per line instead of a table")
    .action(async (options: ExpertsOptions) => {
      context.exit(await printExperts(options, context));
    });
  addExpertsCalibrate(command, context);
}

async function printExperts(options: ExpertsOptions, { terminal, environment }: CommandContext): Promise<number> {
  const { experts, unusable } = await fetchListing(options, environment);
  const lines =
    options.json === true
      ? experts.map((expert) => JSON.stringify(expert))
      : experts.length > 0
        ? toTable(columns, experts.map(toCells))
        : [];
  for (const line of lines) await terminal.print(line);
  if (experts.length === 0) terminal.remark("no experts");
  if (unusable.length > 0) terminal.remark(`${unusable.length} unusable:`);
  for (const { name, message } of unusable) terminal.remark(toPlain(`  ${name}: ${message}`));
  if (experts.length === 0) return exitCodes.unusable;
  return unusable.length > 0 ? exitCodes.someFailed : exitCodes.success;
}

async function fetchListing(options: ExpertsOptions, defaults: ServerDefaults): Promise<ExpertListing> {
  if (options.experts !== undefined) return listExperts(openCatalogue(options.experts));
  const client = await connectToServer(options, defaults);
  try {
    return await listExperts(client);
  } finally {
    await client.close();
  }
}

function toCells(expert: ExpertSummary): string[] {
  const { name, spaceId, objective, layer, shape, architecture, representation, labels, tree } = expert;
  return [
    name,
    spaceId.slice(0, 12),
    objective,
    `${layer.module} (${layer.kind}${layer.layout === "linear" ? "" : `, ${layer.layout}`})`,
    shape.join(" x "),
    toArchitectureCell(architecture),
    String(representation),
    tree ?? "-",
    toLabelCell(labels),
  ];
}

function toArchitectureCell(architecture: ExpertSummary["architecture"]): string {
  if (architecture.kind === "unknown") return "unknown";
  return `${architecture.kind} ${architecture.probeCount} x ${architecture.projectionWidth}`;
}

function toLabelCell(labels: readonly string[]): string {
  if (labels.length === 0) return "-";
  const shown = labels.slice(0, 3).join(", ");
  return labels.length > 3 ? `${labels.length}: ${shown}, …` : shown;
}
