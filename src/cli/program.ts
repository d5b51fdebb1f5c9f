import { Command } from "commander";
import { version } from "../rpc/server.js";
import type { CommandContext } from "./command-context.js";
import { addEmbed } from "./commands/embed.js";
import { addEval } from "./commands/eval.js";
import { addExperts } from "./commands/experts.js";
import { addInspect } from "./commands/inspect.js";
import { addRoute } from "./commands/route.js";
import { addServe } from "./commands/serve.js";
import { addTrain } from "./commands/train.js";
import { addTrees } from "./commands/trees.js";

const help = `
Environment: PROBESTREAM_SERVER (HOST:PORT of the server), HF_TOKEN (token of Hugging Face,
sent there only), NO_COLOR.

First steps:
  $ probestream inspect lora.safetensors                 what is in the file?
  $ probestream embed lora.safetensors --local --experts experts/
  $ probestream serve --experts experts/ &               the same, over the network
  $ probestream embed models/ --texts labels.safetensors

\`probestream COMMAND --help\` has the options and more examples of each.
`;

/** Creates the command line. It throws `CommanderError` instead of ending the process. */
export function createProgram(context: CommandContext): Command {
  const program = new Command("probestream")
    .description("Reads model weights as they stream in over gRPC and says what the model does.")
    .version(version, "-V, --version")
    .option("--debug", "show the stack of an error and its causes (anywhere on the command line)")
    .addHelpText("after", help)
    .exitOverride()
    .configureHelp({ helpWidth: 100, showGlobalOptions: false })
    // Errors are told in one place, main.ts.
    .configureOutput({ outputError: () => {} })
    .showSuggestionAfterError();
  addEmbed(program, context);
  addInspect(program, context);
  addRoute(program, context);
  addExperts(program, context);
  addServe(program, context);
  addTrain(program, context);
  addEval(program, context);
  addTrees(program, context);
  return program;
}
