import { type Command, Option } from "commander";
import { toProbestreamError } from "../../errors/plain-error.js";
import { toModelId, toSentMetadata } from "../../search/plan-request.js";
import { type AskRoute, type RoutedFile, routeFile } from "../../search/route-file.js";
import { routeModel } from "../../search/route-model.js";
import { type ModelFile, openModel } from "../../weights/model-file.js";
import type { CommandContext } from "../command-context.js";
import { addConnectionOptions } from "../connection-options.js";
import { exitCodes, usageError } from "../exit-codes.js";
import { type Failure, toFailureLines } from "../failures.js";
import { findLocations } from "../find-locations.js";
import { openLocalExperts } from "../local-experts.js";
import { collectWord } from "../option-values.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { toErrorJson } from "../result-writer.js";
import { type ConnectionOptions, connectToServer } from "../server-connection.js";
import { formatBytes } from "../size.js";
import { type Column, fitWidth, keepEnd, toHeading, toPlain, toRow, toRule } from "../table.js";

interface RouteOptions extends ConnectionOptions {
  readonly local?: boolean;
  readonly experts?: string;
  readonly expert?: readonly string[];
  readonly treeHint?: string;
  readonly json?: boolean;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
}

const help = `
An expert knows one Model Tree: models fine-tuned from one ancestor. \`route\` reads a
twentieth of the layer and says which tree a model is of, how far from its middle, and how
far the next tree is; \`embed\` decides the same on the way and embeds as well. LoRA files do
not hold their base's weights, but move it in directions that depend on it: of these both
factors are read. Experts must be calibrated (\`probestream experts calibrate\`; \`train\`
does so).

Exit codes: 0 every model has its expert; 1 some have none, are undecided or could not be
read; 2 the command line is wrong; 3 no server, no experts, or no model.

Examples:
  $ probestream route models/ --local --experts experts/
  $ probestream route model.safetensors --server gpu-box:50051 --json
`;

const columns: readonly Column[] = [
  { title: "file" },
  { title: "expert" },
  { title: "tree" },
  { title: "distance", align: "right" },
  { title: "radius", align: "right" },
  { title: "next tree" },
  { title: "read", align: "right" },
];
const widths = [0, 16, 16, 9, 9, 22, 9];

/** Bytes of weights in one message: servers take 4 MiB, of which a manifest may have half. */
const maxSentBytes = 1_900_000;
/** Bytes of a layer that are held here at most. */
const maxHeldBytes = 67_108_864;

/** Adds `route`. */
export function addRoute(program: Command, context: CommandContext): void {
  const command = program
    .command("route")
    .description("Says which expert would serve each model, by the first rows of its layer.")
    .argument("<model...>", "files, folders (searched with all folders in them) and http(s) URLs")
    .addHelpText("after", help);
  addConnectionOptions(command, context.environment.server)
    .addOption(new Option("--local", "decide in this process instead of a server").conflicts("server"))
    .option("--experts <folder>", "with --local: folder of expert folders (default: experts)")
    .option("--expert <name>", "candidate by name or space id; repeatable (default: all that fit)", collectWord)
    .option("--tree-hint <name>", "tree that you believe in: shown as a claim, decides nothing")
    .option("--json", "one JSON object per line instead of a table")
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .action(async (paths: readonly string[], options: RouteOptions) => {
      context.exit(await route(paths, options, context));
    });
}

async function route(paths: readonly string[], options: RouteOptions, context: CommandContext): Promise<number> {
  const { signal, terminal, environment } = context;
  const { locations, failures: unreadable } = await findLocations(paths, signal);
  const router = await openRouter(options, context);
  const { header: headers, token } = options;
  const modelOptions = toModelOptions({ headers, token, hubToken: environment.hubToken });
  const failures: Failure[] = [...unreadable];
  const fileWidth = fitWidth(locations);
  let unrouted = 0;
  let uncompared = 0;
  if (options.json !== true) {
    for (const line of [toHeading(columns, [fileWidth, ...widths.slice(1)]), toRule([fileWidth, ...widths.slice(1)])])
      await terminal.print(line);
  }
  try {
    for (const location of locations) {
      signal.throwIfAborted();
      try {
        const model = await openModel(location, { ...modelOptions(location), signal });
        const routed = await routeFile(model, router.ask(model), { maxBytes: router.maxBytes, signal }).finally(() =>
          model.close(),
        );
        if (routed.answer.decision !== "routed") unrouted++;
        if (routed.bytesRead === 0) uncompared++;
        const line =
          options.json === true
            ? toJson(location, routed)
            : toRow(columns, [fileWidth, ...widths.slice(1)], toCells(location, fileWidth, routed));
        await terminal.print(line);
      } catch (error) {
        signal.throwIfAborted();
        failures.push({ file: location, error: toProbestreamError(error) });
      }
    }
  } finally {
    await router.close();
  }
  if (options.json === true) for (const { file, error } of failures) await terminal.print(toErrorJson(file, error));
  if (uncompared > 0) {
    terminal.remark(
      `${uncompared} were compared with no tree: their experts are not calibrated (\`probestream experts calibrate\`)`,
    );
  }
  if (failures.length > 0) terminal.remark(`${failures.length} could not be routed:`);
  for (const line of toFailureLines(failures, context.isDebug)) terminal.remark(line);
  if (failures.length - unreadable.length === locations.length) return exitCodes.unusable;
  return failures.length + unrouted > 0 ? exitCodes.someFailed : exitCodes.success;
}

/** Who is asked. */
interface Router {
  readonly ask: (model: ModelFile) => AskRoute;
  readonly maxBytes: number;
  close(): Promise<void>;
}

async function openRouter(options: RouteOptions, { environment, signal }: CommandContext): Promise<Router> {
  const { expert = [], treeHint, local = false } = options;
  if (!local && options.experts !== undefined)
    throw usageError("--experts is the server's to choose; with --local it is yours");
  const hints = treeHint === undefined ? [] : [treeHint];
  if (local) {
    const { catalogue, wanted } = await openLocalExperts(options.experts, expert);
    return {
      ask:
        ({ tensors, metadata }) =>
        (prefixes) =>
          routeModel({ tensors, metadata, hints, experts: wanted, prefixes }, catalogue),
      maxBytes: maxHeldBytes,
      close: async () => {},
    };
  }
  const client = await connectToServer(options, environment);
  return {
    ask:
      ({ location, tensors, metadata }) =>
      (prefixes) =>
        client.route(
          {
            modelId: toModelId(location),
            uploadId: "",
            tensors,
            metadata: toSentMetadata(metadata),
            ...{ experts: expert, hints, prefixes },
          },
          signal,
        ),
    maxBytes: maxSentBytes,
    close: () => client.close(),
  };
}

function toCells(location: string, fileWidth: number, { answer, bytesRead }: RoutedFile): string[] {
  const [first, second] = answer.candidates;
  const { tree } = first ?? {};
  const next = second?.tree;
  const expert =
    answer.decision === "routed" ? (first?.expertName ?? "") : answer.decision === "no-expert" ? "none" : "undecided";
  return [
    keepEnd(toPlain(location), fileWidth),
    toPlain(first?.isClaimed === true ? `${expert} (as claimed)` : expert),
    toPlain(tree === undefined ? "-" : answer.decision === "no-expert" ? `not ${tree.tree}` : tree.tree),
    tree?.distance.toPrecision(3) ?? "-",
    tree?.radius.toPrecision(3) ?? "-",
    toPlain(next === undefined ? "-" : `${next.tree} at ${next.distance.toPrecision(3)}`),
    formatBytes(bytesRead),
  ];
}

function toJson(file: string, { answer, bytesRead }: RoutedFile): string {
  const { decision, candidates } = answer;
  return JSON.stringify({ file, decision, candidates, bytesRead });
}
