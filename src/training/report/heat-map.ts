import type { Confusion } from "../evaluation/evaluate-expert.js";
import { html, type Markup, toPixels } from "./html.js";

const size = 620;
/** Labels at most whose names stand beside the picture. */
const mostNames = 45;
const nameWidth = 165;

/** Draws how often models of each label (rows) were taken for each (columns): the darker the more of a row's models. */
export function drawConfusions(confusions: readonly Confusion[], labels: readonly string[]): Markup {
  const rows = labels.filter((label) => confusions.some(({ truth }) => truth === label));
  const places = new Map(labels.map((label, place) => [label, place]));
  const cell = { width: size / labels.length, height: size / Math.max(1, rows.length) };
  const totals = new Map(
    rows.map((row) => [
      row,
      confusions.filter(({ truth }) => truth === row).reduce((sum, { models }) => sum + models, 0),
    ]),
  );
  const hasNames = labels.length <= mostNames;
  const left = hasNames ? nameWidth : 0;
  const cells = confusions.map(({ truth, predicted, models }) => {
    const [x, y] = [left + (places.get(predicted) ?? 0) * cell.width, rows.indexOf(truth) * cell.height];
    const share = models / (totals.get(truth) ?? 1);
    return html`<rect class="${truth === predicted ? "right" : "wrong"}" x="${toPixels(x)}" y="${toPixels(y)}" width="${toPixels(cell.width)}" height="${toPixels(cell.height)}" fill-opacity="${toPixels(0.15 + 0.85 * share)}"><title>${truth} → ${predicted}: ${models} of ${totals.get(truth) ?? 0}</title></rect>`;
  });
  const names = hasNames
    ? [
        ...rows.map(
          (row, place) =>
            html`<text x="${left - 6}" y="${toPixels((place + 0.5) * cell.height + 4)}" text-anchor="end">${row}</text>`,
        ),
        ...labels.map((label, place) => {
          const x = left + (place + 0.5) * cell.width;
          return html`<text transform="translate(${toPixels(x + 4)} ${size + 8}) rotate(60)">${label}</text>`;
        }),
      ]
    : [];
  const box = `0 0 ${size + left + (hasNames ? 60 : 0)} ${size + (hasNames ? nameWidth : 0)}`;
  return html`<figure class="wide"><svg viewBox="${box}" role="img" aria-label="confusions">
<rect class="frame" x="${left}" y="0" width="${size}" height="${size}"/>${cells}${names}</svg>
<figcaption>rows are what models were trained on, columns what they were taken for: <span class="key"><i class="right"></i>right</span> <span class="key"><i class="wrong"></i>wrong</span></figcaption></figure>`;
}
