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
import type { ClassifyQuestion, LabelScore } from "./retrieval-port.js";
import type { KnownSpace } from "./space-directory.js";
import { expertMissing, toImage } from "./space-vector.js";

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
}

/** Labels that a model is compared with before others may have the thread. */
const labelsPerStep = 256;

/** Labels of an error message. */
const maxListed = 5;

/**
 * Reads what labels are compared with.
 *
 * @throws NotFoundError `EXPERT_NOT_FOUND` if the space's expert is not at hand; PreconditionError `TEXT_ENCODER_MISSING`,
 * `TEXT_NOT_JUDGED` for labels of no known word; InvalidInputError `FIELD_INVALID` without labels, and for labels that a
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
  const found = labels.map((label) => toImage(label, space, images));
  assertKnown(
    expert,
    labels.filter((_, index) => found[index]?.isKnown !== true),
  );
  const queries = found.map(({ image }) => image);
  const isWithinReach = found.every(({ reach }) => reach === undefined || reach.distance <= reach.radius);
  const pace = createPacer(signal);
  const toProbabilities = await calibration?.toLabelJudge(mode, queries, pace);
  return {
    isCalibrated: calibration?.fitted.labels === true && isWithinReach,
    judge: async (representation, top) => {
      const unit = toUnit(representation);
      const cosines = new Float32Array(queries.length);
      for (const [index, query] of queries.entries()) {
        if (index % labelsPerStep === 0) await pace();
        cosines[index] = dot(query, unit);
      }
      return rank(labels, toProbabilities?.(cosines), cosines, top);
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

function assertKnown({ name, spaceId }: Expert, unknown: readonly string[]): void {
  if (unknown.length === 0) return;
  throw new PreconditionError(
    "TEXT_NOT_JUDGED",
    `the text encoder of the expert "${name}" knows no word of ${unknown.length} labels: ${listed(unknown)}; say them in other words, or leave them out`,
    { expert: name, spaceId, labels: unknown.length },
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
