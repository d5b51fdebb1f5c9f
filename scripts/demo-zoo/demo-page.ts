import { html, type Markup } from "../../src/training/report/html.js";
import { side } from "./draw-picture.js";
import { sheetColumns } from "./thumbnails.js";

/** What the server said of a model. */
export interface DemoAnswer {
  readonly split: string;
  readonly path: string;
  /** Its place in the tree, and on the sheet of thumbnails. */
  readonly index: number;
  readonly truth: string;
  /** The best first. */
  readonly labels: readonly { readonly label: string; readonly cosine: number }[];
}

const scale = 4;

const style = `
body { font: 14px/1.4 system-ui, sans-serif; margin: 24px auto; max-width: 1100px; color: #1c2733; background: #fff; }
.models { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; }
.model { background: #f3f5f7; border-radius: 8px; padding: 10px; border-left: 4px solid #3a8f4d; } .model.wrong { border-color: #c5493b; }
.model i { display: block; width: ${side * scale}px; height: ${side * scale}px; image-rendering: pixelated; margin-bottom: 6px; }
.model b { display: block; } .model small { color: #5d6b7a; display: block; }
@media (prefers-color-scheme: dark) { body { color: #e4eaf0; background: #12181f; } .model { background: #1b232c; } .model small { color: #9aa9b8; } }
`;

/** Writes a page that shows each model by a picture it was fine-tuned on, and what was read from its weights. */
export function toDemoPage(answers: readonly DemoAnswer[], sheet: Uint8Array): string {
  const image = `data:image/png;base64,${Buffer.from(sheet).toString("base64")}`;
  const background = `.model i { background-image: url(${image}); background-size: ${sheetColumns * side * scale}px auto; }`;
  const isRight = ({ truth, labels }: DemoAnswer): boolean => truth === labels[0]?.label;
  const section = (split: string, title: string): Markup => {
    const own = answers.filter((answer) => answer.split === split);
    return html`<h2>${title}: ${own.filter(isRight).length} of ${own.length} right</h2><div class="models">${own.map((answer) => drawModel(answer, isRight(answer)))}</div>`;
  };
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>What do these models draw?</title><style>${{ html: style + background }}</style></head><body>
<h1>What do these models draw?</h1>
<p>Each picture shows what a model was fine-tuned on. The words below it were read from one layer of its weights, without running it; the picture and the file's header were not looked at.</p>
${section("test_holdout", "Concepts that no training model had")}
${section("test", "Concepts that training models had")}
</body></html>
`.html;
}

function drawModel({ index, path, truth, labels }: DemoAnswer, isRight: boolean): Markup {
  const [x, y] = [index % sheetColumns, Math.floor(index / sheetColumns)].map((place) => -place * side * scale);
  const [best, ...next] = labels;
  return html`<div class="model ${isRight ? "right" : "wrong"}" title="${path}, fine-tuned on: ${truth}"><i style="background-position: ${x ?? 0}px ${y ?? 0}px"></i><b>${best?.label ?? ""}</b><small>${isRight ? "" : `truth: ${truth}. `}Next: ${next.map(({ label }) => label).join(", ")}</small></div>`;
}
