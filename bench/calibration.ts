import { existsSync } from "node:fs";
import { join } from "node:path";
import { makeTree, readAncestor, type Say } from "../scripts/demo-zoo/make-tree.js";
import { unpackTree } from "../scripts/demo-zoo/packed-tree.js";
import { planLoras } from "../scripts/demo-zoo/plan.js";
import { prompt } from "../scripts/demo-zoo/text-encoder.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { type CalibratedExpert, openCalibratedExpert, type Recipe, trainExpert } from "./calibrated-expert.js";
import { type ClassifyError, toClassifyError, toLabelAnswers, toTopAnswers } from "./classify-error.js";
import { mergers, toAveragePrecision } from "./merged-retrieval.js";
import { mean, toMarkdownTable, toVerdict } from "./report.js";
import { repositoryRoot } from "./repository-root.js";

/** Do scores of two experts compare, and are probabilities right as often as they say? */
export const calibration: Bench = {
  summary: "retrieval over two trees by raw cosines and by calibrated scores; calibration error of probabilities",
  options: {
    seeds: { help: "experts trained for each tree", fallback: "3" },
    zoo: { help: "another folder of LoRAs with concept and split in their headers; none", fallback: "" },
    "zoo-layer": { help: "module of its models", fallback: "lm.blocks.1.attn.to_out" },
    "zoo-encoder": { help: "text encoder of its concepts", fallback: "" },
    cache: {
      help: "folder that models and experts are kept in",
      fallback: join(repositoryRoot, ".cache", "calibration"),
    },
  },
  run: measure,
};

const wantedError = 0.05;
const wantedGain = 0.1;

async function measure(options: BenchOptions): Promise<boolean> {
  const say: Say = (line) => console.error(line);
  const cache = options.text("cache");
  const fresh = await openFreshLoras(cache, say);
  for (const tree of ["loras", "dense"])
    await unpackTree(join(repositoryRoot, "demo", `${tree}.safetensors`), join(cache, tree));
  const recipes = toDemoRecipes(cache);
  const [retrieval, errors]: [string[][], string[][]] = [[], []];
  const verdicts: boolean[] = [];
  for (let seed = 1; seed <= options.count("seeds"); seed++) {
    const open = async (name: keyof typeof recipes, more: readonly string[]): Promise<CalibratedExpert> => {
      const folder = join(cache, "experts", `${name}-${seed}`);
      say(`seed ${seed}: ${name}`);
      await trainExpert(folder, recipes[name], seed);
      return openCalibratedExpert(folder, recipes[name], more);
    };
    const [loras, dense] = [await open("loras", [fresh]), await open("dense", [])];
    const rows = toRetrievalRows([loras, dense], seed);
    retrieval.push(...rows.map(({ cells }) => cells));
    verdicts.push(rows[0] !== undefined && rows[0].gain >= wantedGain);
    for (const [what, found, counts] of [...(await toLoraErrors(loras)), ...(await toDenseErrors(dense))]) {
      errors.push(toErrorRow(what, seed, found));
      if (counts) verdicts.push(found.error <= wantedError);
    }
  }
  const zoo = await measureZoo(options, say);
  errors.push(...zoo);
  console.log(
    `\n${toMarkdownTable(["concepts asked for", "seed", "queries", "models", ...mergers, "gain, points"], retrieval)}`,
  );
  console.log(
    `\n${toMarkdownTable(["probabilities of", "seed", "answers", "mean", "right", "ECE", "ECE if all were right"], errors)}\n`,
  );
  const met = verdicts.every((one) => one);
  console.log(
    toVerdict(
      met,
      "see the tables",
      "10 points on concepts that both experts know; ECE at most 0.05 where answers suffice",
    ),
  );
  return met;
}

function toDemoRecipes(cache: string): Record<"loras" | "dense", Recipe> {
  return {
    loras: {
      models: join(cache, "loras"),
      labelKey: "concept",
      objective: "zeroshot",
      encoder: join(repositoryRoot, "demo", "text-encoder"),
      prompt,
      words: toWords(
        "--layer denoiser.blocks.1.attn.to_out --probes 32 --projection 32 --representation 64 --epochs 120 --best-on val_holdout",
      ),
    },
    dense: {
      models: join(cache, "dense"),
      labelKey: "dataset_chosen_targets",
      objective: "classification",
      words: toWords(
        "--layer denoiser.blocks.1.attn.to_v --epochs 150 --batch-size 32 --standardise --schedule cosine --weight-decay 0.001",
      ),
    },
  };
}

function toWords(text: string): string[] {
  return text.split(" ");
}

/** LoRAs of the demo's ancestor and concepts with other seeds: as many again, that nothing was trained or fitted on. */
async function openFreshLoras(cache: string, say: Say): Promise<string> {
  const folder = join(cache, "fresh");
  const packed = join(cache, "packed");
  const plan = planLoras();
  const stacks = plan.stacks.map((stack) => ({
    ...stack,
    models: stack.models.map((model) => ({ ...model, seed: model.seed + 77_000_000 })),
  }));
  if (!existsSync(join(packed, "loras.safetensors"))) {
    await makeTree({ ...plan, stacks }, await readAncestor(plan, join(repositoryRoot, "demo")), packed, say);
  }
  await unpackTree(join(packed, "loras.safetensors"), folder);
  return folder;
}

interface RetrievalRow {
  readonly cells: string[];
  readonly gain: number;
}

function toRetrievalRows(experts: readonly CalibratedExpert[], seed: number): RetrievalRow[] {
  const all = [...new Set(experts.flatMap(({ models }) => models.flatMap(({ labels }) => labels)))].sort();
  const shared = all.filter((label) => experts.every(({ toQuery }) => toQuery(label) !== undefined));
  const count = experts.reduce((sum, { models }) => sum + models.filter(({ split }) => /^test/.test(split)).length, 0);
  return (
    [
      ["known to both experts", shared],
      ["known to one", all.filter((label) => !shared.includes(label))],
      ["all", all],
    ] as const
  ).map(([title, labels]) => {
    const means = mergers.map((merger) => {
      const found = labels.flatMap((label) => toAveragePrecision(experts, label, merger) ?? []);
      return mean(found);
    });
    const gain = (means.at(-1) ?? 0) - (means[0] ?? 0);
    const queries = labels.filter((label) => toAveragePrecision(experts, label, "calibrated") !== undefined).length;
    const cells = [title, String(seed), String(queries), String(count), ...means.map((value) => value.toFixed(3))];
    return { cells: [...cells, (100 * gain).toFixed(1)], gain };
  });
}

type ErrorEntry = readonly [what: string, found: ClassifyError, isEnough: boolean];

/** One of many: labels that the expert knows, and labels that it does not. Any of many: each by itself. */
async function toLoraErrors(expert: CalibratedExpert, name = "LoRAs, zero-shot"): Promise<ErrorEntry[]> {
  const of = (...splits: readonly string[]) => expert.models.filter(({ split }) => splits.includes(split));
  const unseen = [...new Set(of("val_holdout", "test_holdout").flatMap(({ labels }) => labels))].sort();
  const hasFresh = of("fresh test").length > 0;
  const entries: [string, ReturnType<typeof of>, readonly string[], boolean][] = [
    ["the best of known labels, test", of("test"), expert.bank, false],
    ["the best of new labels, test_holdout", of("test_holdout"), unseen, false],
  ];
  if (hasFresh) {
    const known = of("fresh train", "fresh val", "fresh test");
    entries.push(["the best of known labels, fresh models", known, expert.bank, true]);
    entries.push(["the best of new labels, fresh test_holdout", of("fresh test_holdout"), unseen, false]);
  }
  const all = [...expert.bank, ...unseen];
  const judged = all.filter((label) => expert.toQuery(label) !== undefined);
  const best = entries.map(async ([what, models, candidates, isEnough]): Promise<ErrorEntry> => {
    const possible = candidates.filter((label) => expert.toQuery(label) !== undefined);
    return [`${name}: ${what}`, toClassifyError(await toTopAnswers(expert, models, possible)), isEnough];
  });
  return [
    ...(await Promise.all(best)),
    [
      `${name}: the best of all labels, test and test_holdout`,
      toClassifyError(await toTopAnswers(expert, of("test", "test_holdout"), judged)),
      false,
    ],
    [
      `${name}: each known label by itself, test and test_holdout`,
      toClassifyError(await toLabelAnswers(expert, of("test", "test_holdout"), expert.bank)),
      true,
    ],
    [
      `${name}: each new label by itself, test and test_holdout`,
      toClassifyError(
        await toLabelAnswers(
          expert,
          of("test", "test_holdout"),
          unseen.filter((label) => expert.toQuery(label) !== undefined),
        ),
      ),
      true,
    ],
  ];
}

async function toDenseErrors(expert: CalibratedExpert): Promise<ErrorEntry[]> {
  const tests = expert.models.filter(({ split }) => split === "test");
  const found = toClassifyError(await toLabelAnswers(expert, tests));
  return [["dense, classification: each label by itself, test", found, true]];
}

/** Another tree, trained on as the authors do, with their sizes. */
async function measureZoo(options: BenchOptions, say: Say): Promise<string[][]> {
  const models = options.text("zoo");
  if (models === "") return [];
  const recipe: Recipe = {
    models,
    labelKey: "concept",
    objective: "zeroshot",
    encoder: options.text("zoo-encoder"),
    words: ["--layer", options.text("zoo-layer")],
  };
  const rows: string[][] = [];
  for (let seed = 1; seed <= options.count("seeds"); seed++) {
    const folder = join(options.text("cache"), "experts", `zoo-${seed}`);
    say(`seed ${seed}: ${models}`);
    await trainExpert(folder, recipe, seed);
    const expert = await openCalibratedExpert(folder, recipe);
    const errors = await toLoraErrors(expert, "another tree, zero-shot");
    rows.push(...errors.map(([what, found]) => toErrorRow(what, seed, found)));
  }
  return rows;
}

function toErrorRow(
  what: string,
  seed: number,
  { answers, confidence, accuracy, error, floor }: ClassifyError,
): string[] {
  return [
    what,
    String(seed),
    String(answers),
    ...[confidence, accuracy, error, floor].map((value) => value.toFixed(3)),
  ];
}
