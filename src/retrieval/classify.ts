import { InvalidInputError, PreconditionError, type ProbestreamError } from "../errors/probestream-error.js";
import type { Expert } from "../experts/expert.js";
import { assertCount } from "./assert-count.js";
import { assertExample, assertQueryText, assertWhole } from "./assert-query.js";
import { createLabelJudge, type LabelJudge } from "./label-judge.js";
import { mapSound } from "./map-sound.js";
import { createPacer } from "./pacer.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { ClassifyQuestion, LabelScores } from "./retrieval-port.js";
import { type KnownSpace, readSpaceDirectory, toLabel } from "./space-directory.js";
import { expertMissing } from "./space-vector.js";
import { readStoredModels, toCommonSpaces } from "./stored-models.js";

/** Bytes of one label of one model while a batch is answered. */
const bytesPerScore = 200;

/** Says how well labels fit models: the use case behind `RetrievalPort.classify`. */
export async function classify(
  question: ClassifyQuestion,
  context: RetrievalContext,
  signal: AbortSignal | undefined,
): Promise<readonly (LabelScores | ProbestreamError)[]> {
  const { models, labels = [], experts = [], top = 0 } = question;
  const { store, catalogue, limits, gate } = context;
  assertCount(models.length, limits.maxQueries, "models");
  assertLabels(labels, limits.maxLabels);
  assertWhole(top, 0, limits.maxLabels, "top");
  const spaces = (await readSpaceDirectory(store, catalogue)).serving(experts);
  const labelCount = labels.length > 0 ? labels.length : Math.max(...spaces.map(({ expert }) => bankSize(expert)));
  const kept = top === 0 ? labelCount : Math.min(top, labelCount);
  const bytes = models.length * (4096 + kept * bytesPerScore) + labelCount * 2048;
  return gate.run(bytes, `a classification of ${models.length} models`, signal, async () => {
    const sound = await mapSound(models, (model) => {
      assertExample(model);
      return model;
    });
    const ids = new Set(models.flatMap((model) => ("modelId" in model ? [model.modelId] : [])));
    const stored = await readStoredModels(store, new Map(spaces.map(({ info }) => [info.spaceId, ids])));
    const judges = new Map<KnownSpace, Promise<LabelJudge>>();
    const judgeOf = (space: KnownSpace): Promise<LabelJudge> => {
      const judge = judges.get(space) ?? createLabelJudge(space, question, context, signal);
      judges.set(space, judge);
      return judge;
    };
    const pace = createPacer(signal);
    return mapSound(sound, async (model): Promise<LabelScores> => {
      await pace();
      const space = toOne(toCommonSpaces([model], spaces, stored));
      const record = "modelId" in model ? stored.get(space.info.spaceId)?.get(model.modelId) : undefined;
      const representation = record?.vector ?? ("representation" in model ? model.representation : undefined);
      if (representation === undefined) throw expertMissing(space);
      const { judge, isCalibrated, unjudged, doubtful } = await judgeOf(space);
      const { spaceId } = space.info;
      return { spaceId, labels: await judge(representation, kept), isCalibrated, unjudged, doubtful };
    });
  });
}

function bankSize(expert: Expert | undefined): number {
  return expert === undefined ? 0 : Math.max(expert.labels.length, expert.labelCount);
}

function assertLabels(labels: readonly string[], maxLabels: number): void {
  if (labels.length === 0) return;
  assertCount(labels.length, maxLabels, "labels");
  for (const [index, label] of labels.entries()) assertQueryText(label, `label ${index}`);
  const seen = new Set<string>();
  for (const label of labels) {
    if (seen.has(label)) {
      throw new InvalidInputError("DUPLICATE", `the label "${label.slice(0, 80)}" stands twice; give each once`);
    }
    seen.add(label);
  }
}

/** A model that several experts know is judged by one of them, which the caller is to choose. */
function toOne(spaces: readonly KnownSpace[]): KnownSpace {
  const [only, ...others] = spaces;
  if (only !== undefined && others.length === 0) return only;
  throw new PreconditionError(
    "EXPERT_AMBIGUOUS",
    `${spaces.length} experts know the model: ${spaces.map(toLabel).join(", ")}; name one`,
    { candidates: spaces.map(({ info }) => info.spaceId).join(" ") },
  );
}
