/** How a column is set. */
export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** Of the columns that are wanted further those that a table does not have anyhow. */
export function toFurtherColumns(wanted: readonly string[], columns: readonly Column[]): readonly string[] {
  return wanted.filter((name) => !columns.some(({ title }) => title === name));
}

/** Lines of a table: columns as wide as their widest cell, two spaces apart, a rule under the titles. */
export function toTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const shown = rows.map((row) => row.map(toPlain));
  const widths = columns.map(({ title }, index) =>
    shown.reduce((widest, row) => Math.max(widest, widthOf(row[index] ?? "")), widthOf(title)),
  );
  return [toHeading(columns, widths), toRule(widths), ...shown.map((row) => toRow(columns, widths, row))];
}

/** The line of titles. */
export function toHeading(columns: readonly Column[], widths: readonly number[]): string {
  return toRow(
    columns,
    widths,
    columns.map(({ title }) => title),
  );
}

/** The line under the titles. */
export function toRule(widths: readonly number[]): string {
  return widths.map((width) => "-".repeat(width)).join("  ");
}

/** One line; cells wider than their column push the next ones on. */
export function toRow(columns: readonly Column[], widths: readonly number[], cells: readonly string[]): string {
  const padded = cells.map((cell, index) => {
    const fill = " ".repeat(Math.max(0, (widths[index] ?? 0) - widthOf(cell)));
    return columns[index]?.align === "right" ? fill + cell : cell + fill;
  });
  return padded.join("  ").trimEnd();
}

/** A text for a terminal: names come from files, and a control character in one could move the cursor. */
export function toPlain(text: string): string {
  return text.replace(/\p{Cc}/gu, "\ufffd");
}

/** The end of a text that is longer than `width`; the end of a path tells more than its start. */
export function keepEnd(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `…${characters.slice(1 - width).join("")}`;
}

/** Widest column of file names. */
const maxFileWidth = 60;

/** Width of a column of file names, titled `file`. */
export function fitWidth(locations: readonly string[]): number {
  const longest = locations.reduce((widest, location) => Math.max(widest, widthOf(location)), 4);
  return Math.min(maxFileWidth, longest);
}

/** Characters of a text. */
export function widthOf(text: string): number {
  return [...text].length;
}
