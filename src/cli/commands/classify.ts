import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { ProbestreamError } from "../../errors/probestream-error.js";
import type { ClassifyQuestion, Example, RetrievalPort } from "../../retrieval/retrieval-port.js";
import { toFileError } from "../../weights/to-file-error.js";
import { askAll } from "../ask-all.js";
import { type ClassifiedModel, hasProbability, toLabelLines, toLabelsJson } from "../classify-table.js";
import type { CommandContext } from "../command-context.js";
import { toCount } from "../embed-report.js";
import { exitCodes, toExitCode, usageError } from "../exit-codes.js";
import { assertOnlyExample, type FoundExample, findExamples } from "../find-examples.js";
import { toLabelRemarks } from "../label-remarks.js";
import { openCatalogueOf } from "../open-retrieval.js";
import { collectWord, parseCount } from "../option-values.js";
import { createHeaderOption, createTokenOption, toModelOptions } from "../remote-options.js";
import { toErrorFields } from "../result-writer.js";
import { addRetrievalOptions, type RetrievalOptions, storeHelp } from "../retrieval-options.js";
import { toCalibrationRemark } from "../search-table.js";
import { readSpaceNames } from "../space-names.js";
import { toPlain } from "../table.js";

const modes = ["one-of-many", "any-of-many"] as const;

interface ClassifyOptions extends RetrievalOptions {
  readonly labels?: string;
  readonly mode?: (typeof modes)[number];
  readonly expert?: readonly string[];
  readonly top?: number;
  readonly json?: boolean;
  readonly header?: Readonly<Record<string, string>>;
  readonly token?: string;
}

const help = `
Labels are your own (any texts; --labels) or those that the expert names. one-of-many:
exactly one is right, and the probabilities of all add up to 1; any-of-many: each is right
or wrong by itself. Without --mode it is what the expert was trained for. Labels that an
expert cannot judge are left out; those unlike the ones that it was trained on are judged
with a remark.
${storeHelp}
Exit codes: 0 all models have their labels; 1 some could not be judged; 2 the command line
is wrong; 3 no server, no store, or no model that could be judged.

Examples:
  $ probestream classify jazz-lora-1.safetensors --labels jazz,chess,birds
      a model of the catalogue: which of the three?
  $ probestream classify ~/Downloads/*.safetensors --labels labels.txt --top 1 --local
      files that need not be in the catalogue; a label per line of the file
  $ probestream classify model.safetensors --labels tags.txt --mode any-of-many --json
      all tags that may hold, as JSON
`;

/** Models of one call. */
const modelsAtOnce = 500;

/** Labels in a table where nothing else is said. */
const defaultTop = 3;

/** Adds `classify`. */
export function addClassify(program: Command, context: CommandContext): void {
  const command = program
    .command("classify")
    .description("Says which labels fit models.")
    .argument("<model...>", "ids of the catalogue, files or http(s) URLs")
    .addHelpText("after", help);
  addRetrievalOptions(command, context.environment.server)
    .option(
      "--labels <list>",
      "labels with commas between them, or a file with one per line (default: the expert's own)",
    )
    .addOption(new Option("--mode <mode>", "whether one label is right or any number").choices(modes))
    .option("--expert <name>", "expert that judges, by name or space id; repeatable", collectWord)
    .option("--top <n>", `labels per model (default: ${defaultTop} in the table, all in JSON)`, parseCount)
    .option("--json", "one JSON object per line instead of a table")
    .addOption(createHeaderOption())
    .addOption(createTokenOption())
    .action(async (words: readonly string[], options: ClassifyOptions) => {
      context.exit(await classify(words, options, context));
    });
}

async function classify(words: readonly string[], options: ClassifyOptions, context: CommandContext): Promise<number> {
  const { expert = [], header: headers, token, labels, mode, json: isJson = false } = options;
  const { signal } = context;
  const wanted: Omit<ClassifyQuestion, "models"> = {
    ...(labels !== undefined && { labels: await readLabels(labels) }),
    ...{ experts: expert, mode, top: options.top ?? (isJson ? undefined : defaultTop) },
  };
  const opened = await openCatalogueOf(options, context, { needsTexts: true });
  try {
    const modelOptions = toModelOptions({ headers, token, hubToken: context.environment.hubToken });
    const found = await findExamples(words, opened, {
      ...{ experts: expert, modelOptions, signal, areTextsAllowed: false },
    });
    assertOnlyExample(found);
    const models = found.flatMap(toModels);
    const answers: Answer[] = [];
    for (let at = 0; at < models.length; at += modelsAtOnce) {
      const some = models.slice(at, at + modelsAtOnce);
      const outcomes = await askAll(
        some.map(({ example }) => example),
        (asked) => opened.catalogue.classify({ ...wanted, models: asked }, signal),
      );
      answers.push(...outcomes.map((outcome, index) => ({ name: some[index]?.name ?? "", outcome })));
    }
    return await print(answers, isJson, opened.catalogue, context);
  } finally {
    await opened.close();
  }
}

interface Answer {
  readonly name: string;
  readonly outcome: ClassifiedModel["scores"] | ProbestreamError;
}

async function print(
  answers: readonly Answer[],
  isJson: boolean,
  catalogue: Pick<RetrievalPort, "listSpaces">,
  { terminal }: CommandContext,
): Promise<number> {
  const judged: ClassifiedModel[] = [];
  let failed = 0;
  for (const { name, outcome } of answers) {
    if (!(outcome instanceof ProbestreamError)) {
      judged.push({ name, scores: outcome });
      if (isJson) await terminal.print(JSON.stringify(toLabelsJson({ name, scores: outcome })));
      continue;
    }
    if (answers.length === 1 && !isJson) throw outcome;
    failed++;
    if (isJson) await terminal.print(JSON.stringify({ model: name, ...toErrorFields(outcome) }));
    else terminal.remark(toPlain(`${name}: ${outcome.reason}: ${outcome.message}`));
    if (answers.length === 1) return toExitCode(outcome);
  }
  if (!isJson && judged.length > 0) for (const line of toLabelLines(judged)) await terminal.print(line);
  const bySpace = new Map(judged.map(({ scores }) => [scores.spaceId, scores]));
  const noted = [...bySpace.values()].filter(({ unjudged, doubtful }) => unjudged.length + doubtful.length > 0);
  // Where it is their labels' fault, a remark on these says so.
  const uncalibrated = [...bySpace.values()].filter(
    ({ isCalibrated, doubtful }) => !isCalibrated && !doubtful.some(({ isUnfamiliar }) => isUnfamiliar),
  );
  const nameOf = noted.length + uncalibrated.length > 0 ? await readSpaceNames(catalogue) : String;
  for (const one of noted) for (const remark of toLabelRemarks(one, nameOf(one.spaceId))) terminal.remark(remark);
  if (uncalibrated.length > 0) {
    const unchecked = uncalibrated.map(({ spaceId }) => nameOf(spaceId));
    const haveProbabilities = judged.every(({ scores }) => scores.labels.every(hasProbability));
    terminal.remark(
      haveProbabilities
        ? toPlain(`not calibrated: the probabilities of ${unchecked.join(", ")} were never compared with what is true`)
        : toCalibrationRemark(unchecked),
    );
  }
  if (judged.length === 0) return exitCodes.unusable;
  if (failed > 0) terminal.remark(`${toCount(failed, "model")} could not be judged`);
  return failed > 0 ? exitCodes.someFailed : exitCodes.success;
}

interface AskedModel {
  readonly name: string;
  /** An error where the model could not be read: it is told of in its place. */
  readonly example: ClassifyQuestion["models"][number] | ProbestreamError;
}

function toModels({ word, examples, failure }: FoundExample): readonly AskedModel[] {
  if (failure !== undefined) return [{ name: word, example: failure }];
  return examples.filter(isModel).map((example) => ({ name: word, example }));
}

function isModel(example: Example): example is Exclude<Example, { readonly text: string }> {
  return !("text" in example);
}

/** Labels of a file, one per line, if there is one of that name; else those between commas. */
async function readLabels(list: string): Promise<readonly string[]> {
  const text = await readFile(list, "utf8").catch((error: unknown) => {
    if (list.includes(",") || !/\.[a-z]+$/i.test(list)) return undefined;
    throw usageError(`--labels: ${toFileError(error, list).message}`);
  });
  const labels = (text === undefined ? list.split(",") : text.split("\n")).map((label) => label.trim());
  const named = [...new Set(labels.filter((label) => label !== ""))];
  if (named.length > 0) return named;
  throw usageError(`--labels: ${list} has no label; give some, as in --labels jazz,chess, or a file with one per line`);
}
