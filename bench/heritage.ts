import { toDenoiserShapes } from "../scripts/demo-zoo/denoiser-graph.js";
import { compareModels } from "../src/trees/heritage/compare-models.js";
import type { DistanceMeasure } from "../src/trees/heritage/difference-norms.js";
import { type Heritage, inferHeritage, inferHeritageBy } from "../src/trees/heritage/infer-heritage.js";
import { LayerCollector, type LayerStatistics } from "../src/trees/heritage/layer-statistics.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import {
  type FamilyKind,
  type FamilyMember,
  familyShape,
  growBase,
  growFamily,
  type Tensors,
  toBfloat16,
} from "./heritage-family.js";
import { mean, printVerdicts, toMarkdownTable, type Verdict } from "./report.js";

const wantedShare = 0.9;

/** How a family was compared. */
interface Subject {
  readonly kind: FamilyKind;
  readonly stored: "F32" | "BF16";
  readonly measure: DistanceMeasure;
}

/** Shares of a family's edges, 0 to 1. */
interface Scores {
  /** Found, whichever way round. */
  readonly undirected: number;
  /** Found the right way round, by kurtosis. */
  readonly directed: number;
  /** The same by the sum of squares. */
  readonly bySquares: number;
  /** Undirected, with the authors' weight of the direction. */
  readonly heavy: number;
  /** Along which kurtosis grows, and the sum of squares. */
  readonly kurtosisGrows: number;
  readonly squaresGrow: number;
}

const subjects: readonly Subject[] = [
  ...(["generalisation", "specialisation"] as const).flatMap((kind) =>
    (["F32", "BF16"] as const).flatMap((stored): Subject[] => [
      { kind, stored, measure: "bulk" },
      { kind, stored, measure: "l2" },
    ]),
  ),
  { kind: "lora", stored: "F32", measure: "rank" },
  { kind: "lora", stored: "F32", measure: "l2" },
  { kind: "lora", stored: "BF16", measure: "rank" },
];

/** Is it recovered who was fine-tuned from whom, in families grown by real training? */
export const heritage: Bench = {
  summary: "who was fine-tuned from whom in families of small transformers, whole and LoRA, as F32 and BF16",
  options: {
    families: { help: "families of each kind", fallback: "10" },
    "base-steps": { help: "steps that a base is trained for", fallback: "8000" },
    seed: { help: "of the first family; the measures were chosen on 1 to 10", fallback: "11" },
  },
  run: measure,
};

async function measure(options: BenchOptions): Promise<boolean> {
  const [families, first] = [options.count("families"), options.count("seed")];
  const found = new Map<Subject, Scores[]>(subjects.map((subject) => [subject, []]));
  for (let seed = first; seed < first + families; seed++) {
    const base = await growBase(seed, options.count("base-steps"));
    for (const [place, kind] of (["generalisation", "specialisation", "lora"] as const).entries()) {
      const members = await growFamily(base, kind, seed + 100 * (place + 1));
      for (const subject of subjects) {
        if (subject.kind === kind) found.get(subject)?.push(score(members, subject));
      }
      console.error(`family ${seed}: ${kind}, ${members.length} models`);
    }
  }
  return report(found);
}

function score(members: readonly FamilyMember[], { kind, stored, measure }: Subject): Scores {
  const { distances, kurtosis, squareSums } = compareModels(
    members.map(({ tensors }) => toStatistics(tensors, stored)),
    measure,
  );
  const stage = kind === "generalisation" ? kind : "specialisation";
  const byKurtosis = toShares(members, inferHeritage({ distances, kurtosis, stage }));
  const growing = (values: Float64Array): number =>
    toShare(members, (child, parent) => (values[child] as number) > (values[parent] as number));
  return {
    ...byKurtosis,
    bySquares: toShares(members, inferHeritageBy({ distances, growing: squareSums })).directed,
    heavy: toShares(members, inferHeritage({ distances, kurtosis, stage, directionWeight: 0.3 })).undirected,
    kurtosisGrows: growing(kurtosis),
    squaresGrow: growing(squareSums),
  };
}

function toStatistics(tensors: Tensors, stored: Subject["stored"]): LayerStatistics[] {
  return [...toDenoiserShapes(familyShape)].map(([name, [rows = 1, columns = 1]]) => {
    const collector = new LayerCollector({ name, rows, columns });
    const values = tensors.get(name) ?? new Float32Array(0);
    collector.add(stored === "BF16" ? toBfloat16(values) : values);
    return collector.finish();
  });
}

function toShares(members: readonly FamilyMember[], { edges }: Heritage): { undirected: number; directed: number } {
  const parents = new Map(edges.map(({ parent, child }) => [child, parent]));
  const directed = toShare(members, (child, parent) => parents.get(child) === parent);
  return { directed, undirected: directed + toShare(members, (child, parent) => parents.get(parent) === child) };
}

/** Share of a family's edges of which something holds. */
function toShare(members: readonly FamilyMember[], holds: (child: number, parent: number) => boolean): number {
  const count = members.filter(({ parent }, child) => parent >= 0 && holds(child, parent)).length;
  return count / (members.length - 1);
}

function report(found: ReadonlyMap<Subject, readonly Scores[]>): boolean {
  const percent = (values: readonly number[]): string => (100 * mean(values)).toFixed(1);
  const rows = [...found].map(([{ kind, stored, measure }, scores]) => {
    const undirected = scores.map((one) => one.undirected);
    return [
      kind,
      stored,
      measure,
      `${percent(undirected)} (${percent([Math.min(...undirected)])})`,
      ...(["directed", "bySquares", "heavy", "kurtosisGrows", "squaresGrow"] as const).map((name) =>
        percent(scores.map((one) => one[name])),
      ),
    ];
  });
  const head = [
    "family",
    "stored",
    "distance",
    "edges found % (least)",
    "right way round, by kurtosis",
    "by squares",
    "edges found with weight 0.3",
    "kurtosis grows along",
    "squares grow along",
  ];
  console.log(toMarkdownTable(head, rows));
  console.log("");
  const verdicts: Verdict[] = [];
  for (const [{ kind, stored, measure }, scores] of found) {
    if (measure === "l2" || (kind === "lora" && stored === "BF16")) continue;
    const share = mean(scores.map(({ undirected }) => undirected));
    const measured = `${kind}, ${stored}: ${percent([share])} % of the edges found`;
    verdicts.push([share >= wantedShare, measured, `${100 * wantedShare} %`]);
  }
  return printVerdicts(verdicts);
}
