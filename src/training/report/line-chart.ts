import { html, type Markup, toColour, toPixels } from "./html.js";

/** A line of a chart. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

/** What the axes of a chart say. */
export interface Axes {
  readonly x: string;
  readonly y: string;
  /** Values of the y axis, from lowest to highest; by default those of the lines. */
  readonly range?: readonly [number, number];
  /** How a value of the y axis is written. */
  readonly format: (value: number) => string;
}

const [width, height] = [460, 260];
const margin = { left: 52, right: 12, top: 10, bottom: 40 };
const steps = 4;

/** Draws lines over a common x axis that begins at the least x. */
export function drawLines(lines: readonly Line[], { x, y, range, format }: Axes): Markup {
  const points = lines.flatMap((line) => line.points);
  if (points.length === 0) return html`<p class="note">nothing to draw</p>`;
  const [xs, ys] = [points.map(([at]) => at), points.map(([, value]) => value)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = range ?? [Math.min(...ys), Math.max(...ys)];
  const toX = (at: number): number =>
    margin.left + ((at - left) / (right - left || 1)) * (width - margin.left - margin.right);
  const toY = (value: number): number =>
    height - margin.bottom - ((value - low) / (high - low || 1)) * (height - margin.top - margin.bottom);
  const marks = Array.from({ length: steps + 1 }, (_, step) => low + ((high - low) * step) / steps).map(
    (value) =>
      html`<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${toPixels(toY(value))}" y2="${toPixels(toY(value))}"/><text x="${margin.left - 6}" y="${toPixels(toY(value) + 4)}" text-anchor="end">${format(value)}</text>`,
  );
  const drawn = lines.map(({ name, points: own }, index) => {
    const path = own.map(([at, value]) => `${toPixels(toX(at))},${toPixels(toY(value))}`).join(" ");
    return html`<polyline fill="none" stroke="${toColour(index)}" stroke-width="1.8" points="${path}"><title>${name}</title></polyline>`;
  });
  return html`<figure><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${y} over ${x}">${marks}
<text x="${margin.left}" y="${height - margin.bottom + 16}">${left}</text>
<text x="${width - margin.right}" y="${height - margin.bottom + 16}" text-anchor="end">${right}</text>
<text x="${toPixels((margin.left + width) / 2)}" y="${height - 8}" text-anchor="middle">${x}</text>${drawn}</svg>
<figcaption>${y}: ${drawLegend(lines.map(({ name }) => name))}</figcaption></figure>`;
}

/** Names with the colours of their indices. */
export function drawLegend(names: readonly string[]): readonly Markup[] {
  return names.map(
    (name, index) => html`<span class="key"><i style="background:${toColour(index)}"></i>${name}</span> `,
  );
}
