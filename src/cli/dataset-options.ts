import type { Command } from "commander";
import type { TextOptions } from "./label-texts.js";
import type { LabelOptions } from "./labels-file.js";

/** Options of commands that read a folder of models and what is known about them. */
export interface DatasetOptions extends LabelOptions, TextOptions {
  readonly splitKey?: string;
  readonly cache?: string;
}

/** Adds the options of {@link DatasetOptions}. */
export function addDatasetOptions(command: Command): Command {
  return addLabelOptions(command, "{}").option(
    "--cache <folder>",
    "where packed layers are kept (default: .probestream beside the expert)",
  );
}

/**
 * Adds the options that say what is known of models and what labels mean.
 *
 * @param prompt what `--prompt` is where it is not given, for people.
 */
export function addLabelOptions(command: Command, prompt: string): Command {
  return command
    .option("--label-key <key>", "metadata key that holds a model's label, or its labels")
    .option("--labels <file>", "CSV or JSON lines that say each model's label, in place of --label-key")
    .option("--separator <text>", "between the labels of one model")
    .option("--split-key <key>", "metadata key that holds a model's split (default: split)")
    .option(
      "--text-encoder <place>",
      "folder of an ONNX model and tokenizer.json, or Hugging Face id, that encodes the labels' texts, for zero-shot",
    )
    .option("--prompt <text>", `what is encoded, with {} for the label (default: ${prompt})`)
    .option("--texts <file>", "vectors of the labels' texts, in place of --text-encoder");
}
