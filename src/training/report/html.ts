/** Markup that is safe to stand in a page as it is. */
export interface Markup {
  readonly html: string;
}

/** A text as markup: whatever it holds, it is shown and not obeyed. */
export function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Puts values into markup: strings and numbers are escaped, markup and lists of it stand as they are. */
export function html(
  parts: TemplateStringsArray,
  ...values: readonly (string | number | Markup | readonly Markup[])[]
): Markup {
  let text = parts[0] ?? "";
  for (const [index, value] of values.entries()) text += toHtml(value) + (parts[index + 1] ?? "");
  return { html: text };
}

function toHtml(value: string | number | Markup | readonly Markup[]): string {
  if (typeof value === "string") return escapeText(value);
  if (typeof value === "number") return String(value);
  return "html" in value ? value.html : value.map((part) => part.html).join("");
}

/** A number as pictures have it: two digits after the point are finer than a pixel needs. */
export function toPixels(value: number): string {
  return value.toFixed(2);
}

/** A share as a percentage with one digit, or a dash where it is not defined. */
export function toPercent(share: number): string {
  return Number.isFinite(share) ? (100 * share).toFixed(1) : "–";
}

/** A colour of its own for each index: neighbours differ much. */
export function toColour(index: number): string {
  const hue = (index * 137.508) % 360;
  return `hsl(${hue.toFixed(0)} ${index % 2 === 0 ? 65 : 45}% ${index % 3 === 0 ? 42 : 55}%)`;
}
