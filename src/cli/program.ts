import { Command } from "commander";
import { version } from "../rpc/version.js";
import type { CommandContext } from "./command-context.js";

const help = `
Environment: PROBESTREAM_SERVER (HOST:PORT of the server), PROBESTREAM_TOKEN (its token),
HF_TOKEN (token of Hugging Face, sent there only), HF_HUB_CACHE or HF_HOME (where its models
are kept), HF_HUB_OFFLINE, HF_ENDPOINT, NO_COLOR.

First steps:
  $ probestream inspect lora.safetensors                 what is in the file?
  $ probestream embed lora.safetensors --local --experts experts/
  $ probestream index models/ --local --experts experts/ keep models where they can be found
  $ probestream search "pixel art" --local               and find them
  $ probestream serve --experts experts/ &               the same, over the network
  $ probestream embed models/ --texts labels.safetensors

\`probestream COMMAND --help\` has the options and more examples of each.
`;

type AddCommand = (program: Command, context: CommandContext) => void;

/** A command: what the list of all says of it, and where the rest is. */
interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<AddCommand>;
}

const commands: readonly CommandEntry[] = [
  {
    name: "embed",
    summary: "say what models do, from their weights",
    load: async () => (await import("./commands/embed.js")).addEmbed,
  },
  {
    name: "index",
    summary: "put models into a catalogue, where they can be searched",
    load: async () => (await import("./commands/index-models.js")).addIndex,
  },
  {
    name: "search",
    summary: "find models in words, by example, or both",
    load: async () => (await import("./commands/search.js")).addSearch,
  },
  {
    name: "similar",
    summary: "find models that do what a model does",
    load: async () => (await import("./commands/similar.js")).addSimilar,
  },
  {
    name: "classify",
    summary: "say which labels fit models",
    load: async () => (await import("./commands/classify.js")).addClassify,
  },
  {
    name: "catalogue",
    summary: "look after the models that were indexed",
    load: async () => (await import("./commands/catalogue.js")).addCatalogue,
  },
  {
    name: "work",
    summary: "index models from a queue, beside other workers",
    load: async () => (await import("./commands/work.js")).addWork,
  },
  {
    name: "export",
    summary: "write a catalogue to files, for other programs or to import again",
    load: async () => (await import("./commands/export.js")).addExport,
  },
  {
    name: "inspect",
    summary: "show what a model file holds, without reading its weights",
    load: async () => (await import("./commands/inspect.js")).addInspect,
  },
  {
    name: "route",
    summary: "say which Model Tree and which expert models belong to",
    load: async () => (await import("./commands/route.js")).addRoute,
  },
  {
    name: "trees",
    summary: "find Model Trees, heritage, duplicates, and the base of a model",
    load: async () => (await import("./commands/trees.js")).addTrees,
  },
  {
    name: "experts",
    summary: "list the experts of a server or of a folder; calibrate one",
    load: async () => (await import("./commands/experts.js")).addExperts,
  },
  {
    name: "serve",
    summary: "start a server",
    load: async () => (await import("./commands/serve.js")).addServe,
  },
  {
    name: "train",
    summary: "train an expert on a folder of models that something is known about",
    load: async () => (await import("./commands/train.js")).addTrain,
  },
  {
    name: "eval",
    summary: "say how good an expert is, beside what needs no expert",
    load: async () => (await import("./commands/eval.js")).addEval,
  },
];

/**
 * Creates the command line, with all of the command that the words name and no more than the summaries of the others: to
 * load them all takes 0.7 s. It throws `CommanderError` instead of ending the process.
 */
export async function createProgram(context: CommandContext, words: readonly string[]): Promise<Command> {
  const program = new Command("probestream")
    .description("Reads model weights as they stream in over gRPC and says what the model does.")
    .version(version, "-V, --version")
    .option("--debug", "show the stack of an error and its causes (anywhere on the command line)")
    .addHelpText("after", help)
    .exitOverride()
    .configureHelp({ helpWidth: 100, showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => void context.terminal.print(withoutLineEnd(text)),
      writeErr: (text) => context.terminal.remark(withoutLineEnd(text)),
      // Errors are told in one place, main.ts.
      outputError: () => {},
    })
    .showSuggestionAfterError();
  const [first, second] = words.filter((word) => !word.startsWith("-"));
  const wanted = first === "help" ? second : first;
  for (const { name, summary, load } of commands) {
    if (name === wanted) (await load())(program, context);
    else program.command(name);
    program.commands.at(-1)?.summary(summary);
  }
  return program;
}

/** Text for a terminal, which ends the line itself. */
function withoutLineEnd(text: string): string {
  return text.replace(/\n$/, "");
}
