import { fitLedoitWolf, toMahalanobis } from "../linalg/ledoit-wolf.js";
import type { Rows } from "../linalg/rows.js";
import { toReach } from "./reach.js";
import type { TreeGaussian } from "./tree.js";

/** Parts that the models are cut into: each is measured by a Gaussian of the others. */
const folds = 5;

/**
 * Fits a Gaussian to an expert's representations of its tree's models, with the shrinkage of Ledoit and Wolf; the reach is
 * measured on models that the Gaussian was not fitted to.
 *
 * @throws InvalidInputError `FIELD_INVALID` for fewer than two rows.
 */
export function fitTreeGaussian({ width, values }: Rows): TreeGaussian {
  const count = values.length / width;
  const pick = (isWanted: (index: number) => boolean): Rows => ({
    width,
    values: values.filter((_, at) => isWanted(Math.floor(at / width))),
  });
  const distances = Array.from({ length: Math.min(folds, count) }, (_, fold) => {
    const gaussian = fitLedoitWolf(pick((index) => index % folds !== fold));
    return [
      ...toMahalanobis(
        gaussian,
        pick((index) => index % folds === fold),
      ),
    ].map(Math.sqrt);
  });
  const { mean, lower } = fitLedoitWolf({ width, values });
  return { mean, lower, ...toReach(distances.flat()) };
}
