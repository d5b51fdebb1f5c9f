import { listSome } from "../errors/list-some.js";
import { InvalidInputError, PreconditionError } from "../errors/probestream-error.js";
import { applyLinear } from "../experts/apply-linear.js";
import type { Expert } from "../experts/expert.js";
import type { LabelMode, ScoreCalibration } from "../experts/score-calibration.js";
import { dot } from "../linalg/dot.js";
import { softmax } from "../linalg/softmax.js";
import { toUnit } from "../linalg/unit.js";
import { quoteText } from "../vectors/assert-text.js";
import { compareText } from "../vectors/compare-text.js";
import { createPacer } from "./pacer.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { ClassifyQuestion, DoubtfulLabel, LabelScore, UnjudgedLabel } from "./retrieval-port.js";
import type { KnownSpace } from "./space-directory.js";
import { expertMissing, findNotJudged, type ImagesBySpace, toImage } from "./space-vector.js";
import { splitUnjudged } from "./split-unjudged.js";
import type { TextImage } from "./text-images.js";

/** Judges models by the labels of one question in one space. */
export interface LabelJudge {
  /**
   * The best labels, `top` at most, the best first; equal ones by label.
   *
   * @throws the signal's reason.
   */
  judge(representation: Float32Array, top: number): Promise<readonly LabelScore[]>;
  /** Whether probabilities are calibrated. */
  readonly isCalibrated: boolean;
  /** Labels that it leaves out. */
  readonly unjudged: readonly UnjudgedLabel[];
  readonly doubtful: readonly DoubtfulLabel[];
}

/** Labels that a model is compared with before others may have the thread. */
const labelsPerStep = 256;

/** Labels of an error message. */
const maxListed = 20;

/**
 * Reads what labels are compared with.
 *
 * @throws NotFoundError `EXPERT_NOT_FOUND` if the space's expert is not at hand; PreconditionError `TEXT_ENCODER_MISSING`,
 * `TEXT_NOT_JUDGED` if no label can be judged; InvalidInputError `FIELD_INVALID` without labels, and for labels that a
 * classification expert does not have.
 */
export async function createLabelJudge(
  space: KnownSpace,
  { labels = [], mode }: ClassifyQuestion,
  context: RetrievalContext,
  signal: AbortSignal | undefined,
): Promise<LabelJudge> {
  const { expert } = space;
  if (expert === undefined) throw expertMissing(space);
  const calibration = await context.calibrations.get(expert);
  if (expert.objective === "classification") {
    return createHeadJudge(expert, labels, mode ?? "any-of-many", calibration, context);
  }
  const bank = labels.length > 0 ? labels : expert.labels;
  return createTextJudge({ ...space, expert }, bank, mode ?? "one-of-many", calibration, context, signal);
}

async function createTextJudge(
  space: KnownSpace & { readonly expert: Expert },
  labels: readonly string[],
  mode: LabelMode,
  calibration: ScoreCalibration | undefined,
  { texts }: RetrievalContext,
  signal: AbortSignal | undefined,
): Promise<LabelJudge> {
  const { expert } = space;
  if (labels.length === 0) {
    throw new InvalidInputError(
      "FIELD_INVALID",
      `the expert "${expert.name}" has no label bank; give the labels to choose from`,
    );
  }
  const whyNot = texts.whyNot(expert);
  if (whyNot !== undefined) throw whyNot;
  const images = await texts.images(new Map([[expert, new Set(labels)]]), signal);
  const { judged, unjudged } = selectJudged(labels, space, images);
  if (judged.length === 0) throw noneJudged(expert, unjudged);
  const names = judged.map(({ label }) => label);
  const queries = judged.map(({ image }) => image);
  const pace = createPacer(signal);
  const toProbabilities = await calibration?.toLabelJudge(mode, queries, pace);
  const isFitted = calibration?.fitted.labels === true;
  const familiar = isFitted ? await calibration.areFamiliar(queries, pace) : [];
  return {
    isCalibrated: isFitted && !familiar.includes(false),
    unjudged,
    doubtful: judged.flatMap(({ label, unknownWords }, index) => {
      const isUnfamiliar = familiar[index] === false;
      return isUnfamiliar || unknownWords.length > 0 ? [{ label, unknownWords, isUnfamiliar }] : [];
    }),
    judge: async (representation, top) => {
      const unit = toUnit(representation);
      const cosines = new Float32Array(queries.length);
      for (const [index, query] of queries.entries()) {
        if (index % labelsPerStep === 0) await pace();
        cosines[index] = dot(query, unit);
      }
      return rank(names, toProbabilities?.(cosines), cosines, top);
    },
  };
}

async function createHeadJudge(
  expert: Expert,
  wanted: readonly string[],
  mode: LabelMode,
  calibration: ScoreCalibration | undefined,
  { heads }: RetrievalContext,
): Promise<LabelJudge> {
  const bank = Array.from({ length: expert.labelCount }, (_, index) => expert.labels[index] ?? `label ${index}`);
  const places = wanted.length === 0 ? [...bank.keys()] : wanted.map((label) => bank.indexOf(label));
  assertOfBank(
    expert,
    wanted.filter((_, index) => places[index] === -1),
  );
  const labels = places.map((place) => bank[place] ?? "");
  const head = await heads.get(expert);
  const toProbabilities = (await calibration?.toLabelJudge(mode, undefined)) ?? toUncalibrated(mode);
  return {
    isCalibrated: calibration?.fitted.labels === true,
    unjudged: [],
    doubtful: [],
    judge: async (representation, top) => {
      const all = applyLinear(head, representation);
      const logits = Float32Array.from(places, (place) => all[place] as number);
      return rank(labels, toProbabilities(logits), undefined, top);
    },
  };
}

/** Of a classification expert without a calibration: what its own logits say. */
function toUncalibrated(mode: LabelMode): (logits: Float32Array) => Float64Array {
  if (mode === "one-of-many") return (logits) => softmax(logits, 1);
  return (logits) => Float64Array.from(logits, (x) => 1 / (1 + Math.exp(-x)));
}

function rank(
  labels: readonly string[],
  probabilities: Float64Array | undefined,
  cosines: Float32Array | undefined,
  top: number,
): readonly LabelScore[] {
  const by = probabilities ?? cosines ?? new Float64Array(labels.length);
  // Probabilities of labels that surely fit are all 1.
  const then = cosines ?? by;
  const order = Array.from(labels.keys()).sort(
    (a, b) =>
      (by[b] as number) - (by[a] as number) ||
      (then[b] as number) - (then[a] as number) ||
      compareText(labels[a] ?? "", labels[b] ?? ""),
  );
  return order.slice(0, top).map((index) => ({
    label: labels[index] ?? "",
    ...(probabilities !== undefined && { probability: probabilities[index] as number }),
    ...(cosines !== undefined && { cosine: cosines[index] as number }),
  }));
}

/** Labels with their images where the expert can judge them: by the rule that a search has for its texts. */
function selectJudged(
  labels: readonly string[],
  space: KnownSpace,
  images: ImagesBySpace,
): {
  readonly judged: readonly (TextImage & { readonly label: string })[];
  readonly unjudged: readonly UnjudgedLabel[];
} {
  const judged: (TextImage & { readonly label: string })[] = [];
  const unjudged: UnjudgedLabel[] = [];
  for (const label of labels) {
    const image = toImage(label, space, images);
    const error = findNotJudged(label, space, image);
    if (error === undefined) judged.push({ ...image, label });
    else unjudged.push({ label, error });
  }
  return { judged, unjudged };
}

function noneJudged({ name, spaceId }: Expert, unjudged: readonly UnjudgedLabel[]): PreconditionError {
  const { unknown, far } = splitUnjudged(unjudged);
  const namesOf = (labels: readonly UnjudgedLabel[]): string => listed(labels.map(({ label }) => label));
  const whys = [
    ...(unknown.length === 0 ? [] : [`its text encoder knows no word of ${namesOf(unknown)}`]),
    ...(far.length === 0 ? [] : [`unlike everything that it was trained on: ${namesOf(far)}`]),
  ];
  return new PreconditionError(
    "TEXT_NOT_JUDGED",
    `the expert "${name}" can judge none of the labels: ${whys.join("; ")}; say them in other words`,
    { expert: name, spaceId, labels: unjudged.length },
  );
}

function assertOfBank({ name }: Expert, unknown: readonly string[]): void {
  if (unknown.length === 0) return;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `the expert "${name}" was trained on labels of its own, and ${unknown.length} of those asked for are none of them: ${listed(unknown)}`,
    { expert: name, labels: unknown.length },
  );
}

function listed(labels: readonly string[]): string {
  return listSome(labels.map(quoteText), maxListed);
}
