import type { Matrix } from "../compute/compute-backend.js";
import { fromPlainError, toPlainError } from "../errors/plain-error.js";
import { InvalidInputError, type ProbestreamError } from "../errors/probestream-error.js";
import { assertFiniteTexts } from "../experts/head.js";
import type { MemoryPlan } from "./memory-plan.js";
import type { EmbeddingPlan } from "./plan-embedding.js";

/** Text vectors of one stream: they stay in force from a header that carries them to the next that does. */
export interface StreamTexts {
  /** Vectors in force. */
  readonly count: number;
  /**
   * Takes vectors over; a matrix of 0 rows ends those in force.
   *
   * @throws InvalidInputError `FIELD_INVALID` for NaN or infinity: then none are in force, and {@link admit} says why.
   * @throws LimitExceededError `MEMORY_BUDGET` likewise, if the memory plan has no room for them.
   */
  take(texts: Matrix): Promise<void>;
  /** The vectors that a header carried were not read: none are in force, and {@link admit} says why. */
  refuse(modelId: string, error: unknown): void;
  /**
   * Sees to it that a model can be scored: the vectors fit its experts, and there is room for their images.
   *
   * @throws InvalidInputError `TEXT_WIDTH_MISMATCH`; LimitExceededError `MEMORY_BUDGET`; why vectors were refused.
   */
  admit(plan: EmbeddingPlan): void;
  /** Gives the memory back. */
  release(): void;
}

/** Starts without vectors. `send` hands them to the worker. */
export function createStreamTexts(memory: MemoryPlan, send: (texts: Matrix | undefined) => Promise<void>): StreamTexts {
  let inForce: Matrix | undefined;
  let refused: ProbestreamError | undefined;
  const held: (() => void)[] = [];
  /** Spaces whose images are reserved. */
  const spaces = new Set<string>();

  const clear = (): void => {
    for (const release of held.splice(0)) release();
    spaces.clear();
    inForce = undefined;
  };
  const reserve = (bytes: number, what: string): void => {
    held.push(memory.reserve(bytes, what, "model"));
  };

  return {
    get count() {
      return inForce?.rows ?? 0;
    },
    take: async (texts) => {
      clear();
      refused = undefined;
      if (texts.rows > 0) {
        try {
          assertFiniteTexts(texts);
          reserve(texts.values.byteLength, `${texts.rows} text vectors`);
        } catch (error) {
          refused = fromPlainError(toPlainError(error));
          throw error;
        }
        inForce = texts;
      }
      // The worker gets a copy; of what is in force only the shape is needed here.
      await send(inForce);
      if (inForce !== undefined) inForce = { ...inForce, values: new Float32Array(0) };
    },
    refuse: (modelId, error) => {
      clear();
      const plain = toPlainError(error);
      const message = `the text vectors that would be in force came with model "${modelId}", whose header was refused: ${plain.message}`;
      refused = fromPlainError({ ...plain, message });
    },
    admit: ({ targets }) => {
      if (refused !== undefined) throw refused;
      if (inForce === undefined) return;
      const { rows, columns } = inForce;
      for (const { expert } of targets) {
        // Experts that compare with no text, of the same stream or model, pass the vectors over.
        if (expert.textWidth === 0 || spaces.has(expert.spaceId)) continue;
        if (expert.textWidth !== columns) throw otherWidth(columns, expert.textWidth);
        reserve(4 * rows * expert.representationWidth, `the images of ${rows} text vectors`);
        spaces.add(expert.spaceId);
      }
    },
    release: clear,
  };
}

function otherWidth(found: number, expected: number): InvalidInputError {
  return new InvalidInputError(
    "TEXT_WIDTH_MISMATCH",
    `text vectors are ${found} wide, the expert compares with ${expected}: use the text encoder it was trained with`,
    { found, expected },
  );
}
