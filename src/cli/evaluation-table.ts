import type { Interval } from "../training/evaluation/bootstrap.js";
import type { Evaluation } from "../training/evaluation/evaluate-expert.js";
import { type Column, toTable } from "./table.js";

/** The figures of an evaluation as lines of a table, the expert first on each split. */
export function toEvaluationLines({ objective, splits }: Evaluation): string[] {
  const columns: readonly Column[] = [
    { title: "split" },
    { title: "" },
    { title: objective === "zeroshot" ? "top-1 %" : "label acc. %", align: "right" },
    { title: "top-5 %", align: "right" },
    { title: "mAP %", align: "right" },
    { title: "one-class AUC % (kNN, L-W)", align: "right" },
    { title: "calib. error %", align: "right" },
    { title: "models", align: "right" },
    { title: "labels", align: "right" },
  ];
  const rows = splits.flatMap(({ split, models, candidates, methods, oneClass, calibration }) =>
    methods.map(({ method, accuracy, top5, meanAveragePrecision }, index) => {
      const figures = [toCell(accuracy), toCell(top5), toCell(meanAveragePrecision)];
      if (index > 0) return ["", method, ...figures];
      const classes =
        oneClass === undefined
          ? "–"
          : `${toPercent(oneClass.neighbours.value)}, ${toPercent(oneClass.ledoitWolf.value)}`;
      return [
        split,
        method,
        ...figures,
        classes,
        toPercent(calibration.error),
        String(models),
        String(candidates.length),
      ];
    }),
  );
  return toTable(columns, rows);
}

function toCell(interval: Interval | undefined): string {
  if (interval === undefined || !Number.isFinite(interval.value)) return "–";
  const { value, low, high } = interval;
  return low === high ? toPercent(value) : `${toPercent(value)} (${toPercent(low)} to ${toPercent(high)})`;
}

function toPercent(share: number): string {
  return Number.isFinite(share) ? (100 * share).toFixed(1) : "–";
}
