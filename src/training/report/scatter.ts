import { html, type Markup, toColour, toPixels } from "./html.js";

/** A point with what it is. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly group: string;
  readonly title: string;
}

const [width, height, margin] = [900, 620, 24];
/** Groups at most whose names are written into the picture. */
const mostNames = 40;

/** Draws points coloured by their group, and names the groups where they lie if there is room. */
export function drawScatter(points: readonly Point[]): Markup {
  if (points.length === 0) return html`<p class="note">nothing to draw</p>`;
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const scale = (values: readonly number[], size: number) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value: number): number => margin + ((value - low) / (high - low || 1)) * (size - 2 * margin);
  };
  const [toX, toY] = [scale(xs, width), scale(ys, height)];
  const groups = [...new Set(points.map(({ group }) => group))].sort();
  const colours = new Map(groups.map((group, index) => [group, toColour(index)]));
  const circles = points.map(
    ({ x, y, group, title }) =>
      html`<circle cx="${toPixels(toX(x))}" cy="${toPixels(toY(y))}" r="4" fill="${colours.get(group) ?? ""}"><title>${title}</title></circle>`,
  );
  const names = groups.length > mostNames ? [] : groups.map((group) => drawName(group, points, toX, toY));
  return html`<figure class="wide"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="map">${circles}${names}</svg></figure>`;
}

function drawName(
  group: string,
  points: readonly Point[],
  toX: (x: number) => number,
  toY: (y: number) => number,
): Markup {
  const own = points.filter((point) => point.group === group);
  const middle = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
  const [x, y] = [toX(middle(own.map((point) => point.x))), toY(middle(own.map((point) => point.y)))];
  return html`<text class="name" x="${toPixels(x)}" y="${toPixels(y - 7)}" text-anchor="middle">${group}</text>`;
}
