import type { Interval } from "../evaluation/bootstrap.js";
import { html, type Markup, toPercent, toPixels } from "./html.js";

/** A bar with a name. */
export interface Bar {
  readonly name: string;
  readonly interval: Interval;
}

const [width, rowHeight, nameWidth] = [460, 24, 130];
const full = width - nameWidth - 60;

/** Draws shares from 0 to 1 as bars, with their confidence intervals as whiskers. */
export function drawBars(title: string, bars: readonly Bar[]): Markup {
  const toX = (share: number): number => nameWidth + Math.min(1, Math.max(0, share)) * full;
  const rows = bars.map(({ name, interval: { value, low, high } }, row) => {
    const y = row * rowHeight + 6;
    const middle = y + 7;
    return html`<g class="${row === 0 ? "first" : "peer"}"><text x="${nameWidth - 8}" y="${y + 12}" text-anchor="end">${name}</text>
<rect x="${nameWidth}" y="${y}" width="${toPixels(toX(value || 0) - nameWidth)}" height="14"/>
<line class="whisker" x1="${toPixels(toX(low || 0))}" x2="${toPixels(toX(high || 0))}" y1="${middle}" y2="${middle}"/>
<text x="${nameWidth + full + 8}" y="${y + 12}">${toPercent(value)}</text></g>`;
  });
  return html`<figure><svg viewBox="0 0 ${width} ${bars.length * rowHeight + 8}" role="img" aria-label="${title}">${rows}</svg><figcaption>${title}, per cent; the line is the 95 % interval over models</figcaption></figure>`;
}
