import type { Expert } from "../experts/expert.js";
import type { ReadScoreCalibration, ScoreCalibration } from "../experts/score-calibration.js";

/** Calibrations of experts, each read once as long as its folder does not change. */
export interface Calibrations {
  /** Undefined if the expert has none. Throws what reading throws. */
  get(expert: Expert): Promise<ScoreCalibration | undefined>;
}

/** Keeps what `read` gives. A catalogue hands out another object for an expert whose folder changed. */
export function createCalibrations(read: ReadScoreCalibration): Calibrations {
  const known = new WeakMap<Expert, Promise<ScoreCalibration | undefined>>();
  return {
    get: (expert) => {
      let calibration = known.get(expert);
      if (calibration === undefined) {
        calibration = read(expert);
        known.set(expert, calibration);
        calibration.catch(() => known.delete(expert));
      }
      return calibration;
    },
  };
}
