import type { CatalogueSpace, QueryHits, RetrievalPort } from "../retrieval/retrieval-port.js";
import { suggestNames } from "../weights/nearest-names.js";
import { toFieldText } from "./field-text.js";
import type { QueryOptions } from "./query-options.js";
import { toPlain } from "./table.js";

/** Fields that are named where one is not there. */
const fieldsNamed = 10;

/**
 * What to say of a query's options that came to nothing: columns that no model has, a tree that no model is of, a limit per
 * base where no base is known. The catalogue is asked only where the hits leave it open.
 */
export async function toOptionRemarks(
  { hits }: QueryHits,
  { show = [], tree = [], perBase }: Pick<QueryOptions, "show" | "tree" | "perBase">,
  port: Pick<RetrievalPort, "listSpaces" | "listModels">,
): Promise<readonly string[]> {
  const baseless = hits.filter(({ record }) => record?.base === "").length;
  const isEmpty = (field: string): boolean =>
    hits.every(({ record }) => record === undefined || toFieldText(record, field) === "");
  const empty = hits.length === 0 ? [] : show.filter((field) => field.includes(".") && isEmpty(field));
  const trees = hits.length === 0 ? tree : [];
  const { spaces } = empty.length + trees.length === 0 ? { spaces: [] } : await port.listSpaces();
  const remarks = perBase !== undefined && baseless > 0 ? [`--per-base: not limited: ${toHits(baseless)} no base`] : [];
  const fields = [...new Set(spaces.flatMap((space) => space.fields))];
  for (const field of empty) {
    if (fields.includes(field)) continue;
    const named = fields.slice(0, fieldsNamed).join(", ") || "none";
    remarks.push(`--show: no model has ${field}${suggestNames(field, fields) || `; there are ${named}`}`);
  }
  for (const name of trees) {
    if (!(await hasTree(name, spaces, port))) remarks.push(`--tree: no model is of a tree ${JSON.stringify(name)}`);
  }
  return remarks.map(toPlain);
}

function toHits(count: number): string {
  return count === 1 ? "1 hit has" : `${count} hits have`;
}

async function hasTree(
  name: string,
  spaces: readonly CatalogueSpace[],
  port: Pick<RetrievalPort, "listModels">,
): Promise<boolean> {
  for (const { spaceId } of spaces) {
    const filter = { field: "tree", op: "eq", value: name } as const;
    const { records } = await port.listModels({ space: spaceId, filter, pageSize: 1, pageToken: "" });
    if (records.length > 0) return true;
  }
  return false;
}
