import { PreconditionError, ProbestreamError } from "../errors/probestream-error.js";
import { applyLinear } from "../experts/apply-linear.js";
import type { Expert } from "../experts/expert.js";
import type { ScoreCalibration } from "../experts/score-calibration.js";
import { dot } from "../linalg/dot.js";
import { toUnit } from "../linalg/unit.js";
import { encodeEach } from "../text/encode-each.js";
import { type EncodedText, wordBytes } from "../text/encoded-text.js";
import { createLruCache } from "../text/lru-cache.js";
import type { TextEncoder } from "../text/text-encoder.js";
import { quoteText } from "../vectors/assert-text.js";
import type { Calibrations } from "./calibrations.js";
import type { ExpertHeads } from "./expert-heads.js";
import { createPacer } from "./pacer.js";

/** A text in the space of one expert. */
export interface TextImage {
  /** H·t + c at unit length, r_T numbers. */
  readonly image: Float32Array;
  /** Whether the encoder knows any of its words. */
  readonly isKnown: boolean;
  /**
   * How far it lies from what the expert was trained on, and how far it may; absent where the expert cannot tell, and for
   * labels that it was trained on.
   */
  readonly reach: { readonly distance: number; readonly radius: number } | undefined;
  /** Tokens of the text in its prompt, and those that the encoder takes; absent where it was not cut. */
  readonly truncation: EncodedText["truncation"] | undefined;
  /** Words of the text that the encoder does not know. */
  readonly unknownWords: readonly string[];
}

/** Texts in the spaces of experts. */
export interface TextImages {
  /** Why texts cannot be compared in an expert's space, undefined if they can: PreconditionError `TEXT_ENCODER_MISSING`. */
  whyNot(expert: Expert): ProbestreamError | undefined;
  /**
   * Images of texts, per expert; those that are not remembered are encoded together, in calls of up to 128. Experts must
   * be ones that {@link whyNot} has nothing against. A classification expert answers to its own labels.
   *
   * @returns per space id and text; an error of one text stands in its place, one of a whole space in the place of its map.
   */
  images(
    wanted: ReadonlyMap<Expert, ReadonlySet<string>>,
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, TextImage | ProbestreamError> | ProbestreamError>>;
}

/** What texts are compared with. */
export interface TextImagesOptions {
  readonly encoders: ReadonlyMap<string, TextEncoder>;
  readonly heads: ExpertHeads;
  readonly calibrations: Calibrations;
}

/** 32 MiB: 50,000 texts in spaces of 128 numbers. */
const maxImageBytes = 32 * 1024 * 1024;

interface Remembered extends TextImage {
  readonly calibration: ScoreCalibration | undefined;
}

/** Texts of one expert, and those of them whose images are yet to be made. */
interface Asked {
  readonly expert: Expert;
  readonly calibration: ScoreCalibration | undefined;
  readonly missing: readonly string[];
  readonly answer: Map<string, TextImage | ProbestreamError>;
}

/** What encoders made of prompts, by the encoder's identity and the prompt. */
type EncodedPrompts = ReadonlyMap<string, ReadonlyMap<string, EncodedText | ProbestreamError>>;

/** Remembers the images that were asked for last, 32 MiB of them. */
export function createTextImages({ encoders, heads, calibrations }: TextImagesOptions): TextImages {
  const known = createLruCache<string, Remembered>(maxImageBytes);

  const recall = (expert: Expert, text: string, calibration: ScoreCalibration | undefined): TextImage | undefined => {
    const found = known.get(toKey(expert, text));
    return found?.calibration === calibration ? found : undefined;
  };

  const whyNot = (expert: Expert): ProbestreamError | undefined => {
    if (expert.objective === "classification") return undefined;
    const encoder = encoders.get(expert.textEncoder);
    if (encoder === undefined) return encoderMissing(expert);
    return encoder.width === expert.textWidth ? undefined : otherWidth(expert, encoder.width);
  };

  /** Makes the images that are missing; gives the error of the expert's head where there is none. */
  const compute = async (
    { expert, calibration, missing, answer }: Asked,
    vectors: EncodedPrompts,
    pace: () => Promise<void>,
  ): Promise<ProbestreamError | undefined> => {
    const head = await heads.get(expert).catch(toSpaceError);
    if (head instanceof ProbestreamError) return head;
    const encodings = vectors.get(expert.textEncoder);
    const empty = encodings?.get(toPrompt(expert, "").trim());
    const bare = empty === undefined || empty instanceof ProbestreamError ? undefined : toUnit(empty.vector);
    for (const text of missing) {
      const encoded = encodings?.get(toPrompt(expert, text));
      if (encoded === undefined || encoded instanceof ProbestreamError) {
        answer.set(text, encoded ?? encoderMissing(expert));
        continue;
      }
      const { vector, truncation } = encoded;
      const isKnown = !encoded.isUnknown && vector.some((x) => x !== 0) && !isSame(vector, bare);
      const image = toUnit(applyLinear(head, vector));
      const isOwn = calibration?.labelQuery(text) !== undefined;
      const reach = isKnown && !isOwn ? calibration?.judgeText(vector) : undefined;
      // Words of the prompt are not the caller's.
      const unknownWords = encoded.unknownWords.filter((word) => text.includes(word));
      const found = { image, isKnown, reach, truncation, unknownWords };
      answer.set(text, found);
      known.set(toKey(expert, text), { ...found, calibration }, imageBytes(found, text));
      await pace();
    }
    return undefined;
  };

  return {
    whyNot,
    images: async (wanted, signal) => {
      const pace = createPacer(signal);
      const asked: Asked[] = [];
      const answers = new Map<string, Map<string, TextImage | ProbestreamError> | ProbestreamError>();
      const prompts = new Map<string, Set<string>>();
      for (const [expert, texts] of wanted) {
        const calibration = await calibrations.get(expert).catch(toSpaceError);
        if (calibration instanceof ProbestreamError) {
          answers.set(expert.spaceId, calibration);
          continue;
        }
        const answer = new Map<string, TextImage | ProbestreamError>();
        answers.set(expert.spaceId, answer);
        if (expert.objective === "classification") {
          for (const text of texts) answer.set(text, toLabelImage(expert, text, calibration));
          continue;
        }
        for (const text of texts) {
          const image = recall(expert, text, calibration);
          if (image !== undefined) answer.set(text, image);
        }
        const missing = [...texts].filter((text) => !answer.has(text));
        const own = prompts.get(expert.textEncoder) ?? new Set();
        for (const text of missing) own.add(toPrompt(expert, text));
        const bare = toPrompt(expert, "").trim();
        if (missing.length > 0 && bare !== "") own.add(bare);
        prompts.set(expert.textEncoder, own);
        asked.push({ expert, calibration, missing, answer });
      }
      const vectors = await encodeAll(encoders, prompts, signal);
      for (const one of asked) {
        const error = one.missing.length === 0 ? undefined : await compute(one, vectors, pace);
        if (error !== undefined) answers.set(one.expert.spaceId, error);
      }
      return answers;
    },
  };
}

/** Whether a text adds nothing to its prompt: then the encoder knew none of its words. */
function isSame(vector: Float32Array, bare: Float32Array | undefined): boolean {
  return bare !== undefined && dot(toUnit(vector), bare) > 1 - 1e-6;
}

/** Texts of one call of an encoder: a lone text of another batch need not wait for thousands. */
const textsPerCall = 128;

/** Each text once, encoders side by side. */
async function encodeAll(
  encoders: ReadonlyMap<string, TextEncoder>,
  prompts: ReadonlyMap<string, ReadonlySet<string>>,
  signal: AbortSignal | undefined,
): Promise<EncodedPrompts> {
  const encoded = await Promise.all(
    [...prompts].map(async ([identity, own]) => {
      const encoder = encoders.get(identity);
      const texts = [...own];
      const vectors: (EncodedText | ProbestreamError)[] = [];
      for (let at = 0; at < texts.length && encoder !== undefined; at += textsPerCall) {
        vectors.push(...(await encodeEach(encoder, texts.slice(at, at + textsPerCall), { signal })));
      }
      const byText = new Map(texts.flatMap((text, index) => [[text, vectors[index]] as const].filter(hasVector)));
      return [identity, byText] as const;
    }),
  );
  return new Map(encoded);
}

function hasVector<V>(entry: readonly [string, V | undefined]): entry is readonly [string, V] {
  return entry[1] !== undefined;
}

/** The text as the expert was trained with it. */
function toPrompt({ prompt }: Expert, text: string): string {
  return prompt === "" ? text : prompt.replaceAll("{}", () => text);
}

function toKey({ spaceId, prompt }: Expert, text: string): string {
  return JSON.stringify([spaceId, prompt, text]);
}

/** The vector, two copies of the text, its unknown words, and what a Map takes for an entry. */
function imageBytes(found: TextImage, text: string): number {
  return found.image.byteLength + 4 * text.length + wordBytes(found) + 400;
}

/** Errors of ours concern the space; others end the call. */
function toSpaceError(thrown: unknown): ProbestreamError {
  if (thrown instanceof ProbestreamError) return thrown;
  throw thrown;
}

/** A classification expert has no text head; its calibration knows what stands for each of its labels. */
function toLabelImage(
  { name, spaceId, labels }: Expert,
  text: string,
  calibration: ScoreCalibration | undefined,
): TextImage | ProbestreamError {
  const image = calibration?.labelQuery(text);
  if (image !== undefined) return { image, isKnown: true, reach: undefined, truncation: undefined, unknownWords: [] };
  const why =
    calibration === undefined
      ? "it is to be calibrated before it answers to them in words"
      : `${quoteText(text)} is none of its ${labels.length} labels`;
  const message = `the expert "${name}" tells labels of its own, and compares with no other text: ${why}`;
  return new PreconditionError("TEXT_NOT_JUDGED", message, { expert: name, spaceId });
}

function encoderMissing({ name, spaceId, textEncoder }: Expert): PreconditionError {
  const message =
    textEncoder === ""
      ? `the expert "${name}" names no text encoder, so that no text can be compared in its space`
      : `the expert "${name}" compares with texts of the encoder ${textEncoder.slice(0, 12)}, which is not at hand; give its folder with --text-encoder, for a server when \`serve\` is started again`;
  return new PreconditionError("TEXT_ENCODER_MISSING", message, { expert: name, spaceId, textEncoder });
}

function otherWidth({ name, spaceId, textWidth, textEncoder }: Expert, found: number): PreconditionError {
  return new PreconditionError(
    "TEXT_ENCODER_MISSING",
    `the text encoder that the expert "${name}" names gives ${found} numbers per text, and the expert takes ${textWidth}`,
    { expert: name, spaceId, textEncoder, found, expected: textWidth },
  );
}
