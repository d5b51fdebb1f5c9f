import type { ErrorReason } from "../errors/error-reason.js";
import { NotFoundError, PreconditionError, ProbestreamError } from "../errors/probestream-error.js";
import { quoteText } from "../vectors/assert-text.js";
import type { SoundQuery } from "./assert-query.js";
import type { Example, SkippedSpace, TruncatedExample, UnknownWords } from "./retrieval-port.js";
import { type KnownSpace, toLabel } from "./space-directory.js";
import { modelNotFound, type StoredModels } from "./stored-models.js";
import type { TextImage, TextImages } from "./text-images.js";
import { toQueryVector } from "./unit-vectors.js";

/** Images of texts, as `TextImages.images` gives them. */
export type ImagesBySpace = Awaited<ReturnType<TextImages["images"]>>;

/** All examples of a query. */
export function examplesOf({ positives, negatives }: SoundQuery): readonly Example[] {
  return [...positives, ...negatives];
}

/** Texts of a query. */
export function textsOf(query: SoundQuery): readonly string[] {
  return examplesOf(query).flatMap((example) => ("text" in example ? [example.text] : []));
}

/**
 * A query in one space, at unit length.
 *
 * @throws PreconditionError `TEXT_NOT_JUDGED` for a text beyond the expert's reach; the error of a text or of the whole
 * space; InvalidInputError `FIELD_INVALID` if the examples cancel out.
 */
export function toSpaceVector(
  { positives, negatives }: SoundQuery,
  space: KnownSpace,
  stored: StoredModels,
  images: ImagesBySpace,
): Float32Array {
  const toVector = (example: Example): Float32Array => {
    if ("text" in example) return toJudged(example.text, space, images).image;
    if ("representation" in example) return example.representation;
    const record = stored.get(space.info.spaceId)?.get(example.modelId);
    if (record === undefined) throw modelNotFound(example.modelId, [space]);
    return record.vector;
  };
  return toQueryVector(positives.map(toVector), negatives.map(toVector));
}

/** A text's image where the expert can judge it. Throws like {@link toSpaceVector}. */
function toJudged(text: string, space: KnownSpace, images: ImagesBySpace): TextImage {
  const image = toImage(text, space, images);
  const error = findNotJudged(text, space, image);
  if (error !== undefined) throw error;
  return image;
}

/** Why an expert cannot judge a text, PreconditionError `TEXT_NOT_JUDGED`; undefined if it can. */
export function findNotJudged(
  text: string,
  space: KnownSpace,
  { isKnown, reach }: TextImage,
): PreconditionError | undefined {
  const { spaceId, expertName } = space.info;
  if (!isKnown) {
    return new PreconditionError(
      "TEXT_NOT_JUDGED",
      `the text encoder of the expert "${expertName}" knows no word of ${quoteText(text)}; say it in other words`,
      { expert: expertName, spaceId },
    );
  }
  if (reach === undefined || reach.distance <= reach.radius) return undefined;
  const { distance, radius } = reach;
  return new PreconditionError(
    "TEXT_NOT_JUDGED",
    `${quoteText(text)} is unlike everything that the expert "${expertName}" was trained on: ${distance.toPrecision(3)} away, and it judges up to ${radius.toPrecision(3)}`,
    { expert: expertName, spaceId, distance, radius },
  );
}

/** A text's image, within the expert's reach or not. */
export function toImage(text: string, space: KnownSpace, images: ImagesBySpace): TextImage {
  const ofSpace = images.get(space.info.spaceId);
  if (ofSpace instanceof ProbestreamError) throw ofSpace;
  const image = ofSpace?.get(text);
  if (image instanceof ProbestreamError) throw image;
  if (image === undefined) throw expertMissing(space);
  return image;
}

/** Texts of a query that the text encoder of a space's expert cut. */
export function toTruncated(query: SoundQuery, space: KnownSpace, images: ImagesBySpace): readonly TruncatedExample[] {
  return [...examplesOf(query).entries()].flatMap(([example, one]) => {
    const truncation = "text" in one ? toImage(one.text, space, images).truncation : undefined;
    return truncation === undefined ? [] : [{ example, spaceId: space.info.spaceId, ...truncation }];
  });
}

/** Words of a query's texts that the text encoder of a space's expert does not know. */
export function toUnknownWords(query: SoundQuery, space: KnownSpace, images: ImagesBySpace): readonly UnknownWords[] {
  return [...examplesOf(query).entries()].flatMap(([example, one]) => {
    const words = "text" in one ? toImage(one.text, space, images).unknownWords : [];
    return words.length === 0 ? [] : [{ example, spaceId: space.info.spaceId, words }];
  });
}

/** The error for texts in a space whose expert is not at hand. */
export function expertMissing(space: KnownSpace): NotFoundError {
  return new NotFoundError(
    "EXPERT_NOT_FOUND",
    `the expert of the space ${toLabel(space)} is not at hand, so that neither texts nor labels can be compared in it; put its folder into --experts`,
    { expert: space.info.expertName, spaceId: space.info.spaceId },
  );
}

/** Which of the errors of several spaces tells most of what could be done. */
const telling: readonly ErrorReason[] = ["TEXT_ENCODER_MISSING", "TEXT_NOT_JUDGED"];

/** The error of a query that no space is left for. */
export function toMostTelling(skipped: readonly SkippedSpace[]): ProbestreamError | undefined {
  const rank = ({ error }: SkippedSpace): number => {
    const index = telling.indexOf(error.reason);
    return index < 0 ? telling.length : index;
  };
  return skipped.toSorted((a, b) => rank(a) - rank(b) || distanceOf(a) - distanceOf(b))[0]?.error;
}

/** How far a text is beyond a radius, so that the nearest expert is named. */
function distanceOf({ error }: SkippedSpace): number {
  const { distance, radius } = error.facts;
  return typeof distance === "number" && typeof radius === "number" ? distance / radius : Number.MAX_VALUE;
}
