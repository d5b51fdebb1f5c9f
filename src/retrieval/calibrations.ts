import type { Expert } from "../experts/expert.js";
import type { ReadScoreCalibration, ScoreCalibration } from "../experts/score-calibration.js";
import { createLruCache } from "../text/lru-cache.js";

/** Calibrations of experts. */
export interface Calibrations {
  /** Undefined if the expert has none. Throws what reading throws. */
  get(expert: Expert): Promise<ScoreCalibration | undefined>;
}

/** 64 MiB: ten experts with 2,048 texts of 768 numbers each. */
const maxCalibrationBytes = 64 * 1024 * 1024;

/** What is kept of an expert that has no calibration. */
const entryBytes = 200;

/**
 * Keeps what `read` gives as long as an expert's folder does not change, those used last, 64 MiB of them. A catalogue hands
 * out another object for an expert whose folder changed.
 */
export function createCalibrations(read: ReadScoreCalibration): Calibrations {
  const known = createLruCache<Expert, { readonly calibration: ScoreCalibration | undefined }>(maxCalibrationBytes);
  const reading = new Map<Expert, Promise<ScoreCalibration | undefined>>();

  const readOnce = async (expert: Expert): Promise<ScoreCalibration | undefined> => {
    try {
      const calibration = await read(expert);
      known.set(expert, { calibration }, entryBytes + (calibration?.byteLength ?? 0));
      return calibration;
    } finally {
      reading.delete(expert);
    }
  };

  return {
    get: async (expert) => {
      const found = known.get(expert);
      if (found !== undefined) return found.calibration;
      const begun = reading.get(expert) ?? readOnce(expert);
      reading.set(expert, begun);
      return begun;
    },
  };
}
