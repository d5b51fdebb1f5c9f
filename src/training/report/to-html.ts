import type { Interval } from "../evaluation/bootstrap.js";
import type { Evaluation, MethodFigures, SplitEvaluation } from "../evaluation/evaluate-expert.js";
import type { EpochReport } from "../fit-expert.js";
import { drawBars } from "./bars.js";
import { drawConfusions } from "./heat-map.js";
import { html, type Markup, toPercent } from "./html.js";
import { drawLines } from "./line-chart.js";
import { drawScatter } from "./scatter.js";
import { style } from "./style.js";

/** What a report tells. */
export interface Report {
  readonly title: string;
  /** What was evaluated, on what: names and values. */
  readonly facts: readonly (readonly [string, string])[];
  readonly evaluation: Evaluation;
  /** How training went; empty if it is not known. */
  readonly epochs: readonly EpochReport[];
}

const splitTexts: Readonly<Record<SplitEvaluation["split"], string>> = {
  train: "the models it was trained on",
  val: "models with labels that it was trained on; chose the best epoch",
  test: "unseen models with labels that it was trained on",
  val_holdout: "models with labels that no training model had; may have chosen the best epoch",
  test_holdout: "unseen models with labels that no training model had: zero-shot",
};

/** Writes a report as one page that needs nothing else: no network, no script. */
export function toHtml({ title, facts, evaluation, epochs }: Report): string {
  const tests = evaluation.splits.filter(({ split }) => split === "test" || split === "test_holdout");
  const shown = tests.length > 0 ? tests : evaluation.splits;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>${{ html: style }}</style></head><body>
<h1>${title}</h1>
<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
${drawSummary(evaluation)}
${epochs.length > 0 ? drawCurves(epochs) : html``}
${shown.map((split) => drawSplit(split, evaluation))}
${drawMap(evaluation)}
</body></html>
`;
  return page.html;
}

function drawSummary({ splits, objective }: Evaluation): Markup {
  const rows = splits.flatMap(({ split, models, candidates, methods, oneClass }) =>
    methods.map(
      (figures, index) => html`<tr class="${index === 0 ? "first" : "peer"}">
<td>${index === 0 ? split : ""}</td><td>${figures.method}</td>
<td class="number">${toCell(figures.accuracy)}</td><td class="number">${toCell(figures.top5)}</td>
<td class="number">${toCell(figures.meanAveragePrecision)}</td>
<td class="number">${index === 0 ? toCell(oneClass?.neighbours) : html``}</td><td class="number">${index === 0 ? toCell(oneClass?.ledoitWolf) : html``}</td>
<td class="number">${index === 0 ? `${models} / ${candidates.length}` : ""}</td></tr>`,
    ),
  );
  const first = objective === "zeroshot" ? "top-1 %" : "label accuracy %";
  return html`<h2>How good is it?</h2>
<p>Beside the expert stand the nearest neighbours of its representations (for labels that no training model had, they are other models of the same split), and what needs no expert: a linear model of all weights, one of simple weight statistics, and chance. Small print: the 95 % interval over models.</p>
<div class="scroll"><table><tr><th>split</th><th></th><th class="number">${first}</th><th class="number">top-5 %</th><th class="number">retrieval mAP %</th><th class="number">one-class AUC %, neighbours</th><th class="number">Ledoit-Wolf</th><th class="number">models / labels</th></tr>${rows}</table></div>
<p class="note">${splits.map(({ split }) => html`${split}: ${splitTexts[split]}. `)}</p>`;
}

function toCell(interval: Interval | undefined): Markup {
  if (interval === undefined || !Number.isFinite(interval.value)) return html`–`;
  const { value, low, high } = interval;
  if (low === high) return html`${toPercent(value)}`;
  return html`${toPercent(value)} <small>${toPercent(low)}–${toPercent(high)}</small>`;
}

function drawCurves(epochs: readonly EpochReport[]): Markup {
  const splits = [...new Set(epochs.flatMap(({ accuracies }) => Object.keys(accuracies)))];
  const accuracies = splits.map((split) => ({
    name: split,
    points: epochs.flatMap(({ epoch, accuracies: own }) => {
      const accuracy = Object.entries(own).find(([name]) => name === split)?.[1];
      return accuracy === undefined ? [] : [[epoch + 1, accuracy] as const];
    }),
  }));
  const losses = [{ name: "train", points: epochs.map(({ epoch, loss }) => [epoch + 1, loss] as const) }];
  return html`<h2>How it was trained</h2><div class="charts">
${drawLines(losses, { x: "epoch", y: "loss", format: (value) => value.toFixed(2) })}
${drawLines(accuracies, { x: "epoch", y: "accuracy, per cent", range: [0, 1], format: toPercent })}</div>`;
}

function drawSplit(own: SplitEvaluation, { objective }: Evaluation): Markup {
  const { split, methods, calibration, candidates, confusions } = own;
  const bars = (figure: (figures: MethodFigures) => Interval) =>
    methods.map((figures) => ({ name: figures.method, interval: figure(figures) }));
  const accuracy = objective === "zeroshot" ? "top-1 accuracy" : "label accuracy";
  const reliability = [
    { name: "answers", points: calibration.bins.map((bin) => [bin.confidence, bin.accuracy] as const) },
    { name: "perfect", points: [[0, 0] as const, [1, 1] as const] },
  ];
  return html`<h2>${split}: ${splitTexts[split]}</h2>
<div class="charts">${drawBars(
    accuracy,
    bars((figures) => figures.accuracy),
  )}${drawBars(
    "retrieval: mean average precision",
    bars((figures) => figures.meanAveragePrecision),
  )}
${drawLines(reliability, { x: "confidence", y: `accuracy per cent; expected calibration error ${toPercent(calibration.error)}`, range: [0, 1], format: toPercent })}</div>
${objective === "zeroshot" ? html`<h3>What is taken for what</h3>${drawConfusions(confusions, candidates)}${listMistakes(own)}` : html``}
${listLabels(own)}`;
}

/** Mistakes that are listed. */
const mostMistakes = 12;

function listMistakes({ confusions }: SplitEvaluation): Markup {
  const mistakes = confusions.filter(({ truth, predicted }) => truth !== predicted).slice(0, mostMistakes);
  if (mistakes.length === 0) return html`<p class="note">No mistakes.</p>`;
  const rows = mistakes.map(
    ({ truth, predicted, models }) =>
      html`<tr><td>${truth}</td><td>${predicted}</td><td class="number">${models}</td></tr>`,
  );
  return html`<details><summary>the most frequent mistakes</summary><table><tr><th>trained on</th><th>taken for</th><th class="number">models</th></tr>${rows}</table></details>`;
}

function listLabels({ labels }: SplitEvaluation): Markup {
  const worstFirst = [...labels].sort((a, b) => a.accuracy - b.accuracy || a.label.localeCompare(b.label));
  const rows = worstFirst.map(
    ({ label, models, accuracy, averagePrecision }) =>
      html`<tr><td>${label}</td><td class="number">${models}</td><td class="number">${toPercent(accuracy)}</td><td class="number">${toPercent(averagePrecision)}</td></tr>`,
  );
  return html`<details><summary>each of the ${labels.length} labels, the worst first</summary><table><tr><th>label</th><th class="number">models</th><th class="number">accuracy %</th><th class="number">average precision %</th></tr>${rows}</table></details>`;
}

function drawMap({ map, objective }: Evaluation): Markup {
  // Models with several labels each belong to no one group.
  const points = map.map(({ x, y, split, label }) => ({
    x,
    y,
    group: objective === "zeroshot" ? label : split,
    title: `${label} (${split})`,
  }));
  return html`<h2>The map</h2><p>Each point is a model, placed by UMAP so that models with similar representations lie together; the colour is its label. Point at one to read what it is.</p>${drawScatter(points)}`;
}
