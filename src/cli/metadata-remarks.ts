import type { MetadataFile } from "./metadata-file.js";
import { toPlain } from "./table.js";

/** Rows of `--metadata` that are named. */
const rowsShown = 5;

/** What to say of rows that no model was found for, and of lines that are not used. */
export function toMetadataRemarks(file: MetadataFile): string[] {
  const unused = file.unused();
  const list = (rows: readonly string[]): string => {
    const more = rows.length > rowsShown ? `, and ${rows.length - rowsShown} more` : "";
    return rows.slice(0, rowsShown).join(", ") + more;
  };
  const { problems } = file;
  return [
    ...(unused.length === 0
      ? []
      : [`--metadata: no model for ${list(unused.map(({ line, path }) => `"${path}" (line ${line})`))}`]),
    ...(problems.length === 0
      ? []
      : [`--metadata: not used: ${list(problems.map(({ line, reason }) => `line ${line}: ${reason}`))}`]),
  ].map(toPlain);
}
