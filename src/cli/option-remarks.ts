import type { QueryHits, RetrievalPort } from "../retrieval/retrieval-port.js";
import { suggestNames } from "../weights/nearest-names.js";
import { toFieldText } from "./field-text.js";
import type { QueryOptions } from "./query-options.js";
import { toPlain } from "./table.js";

/** Fields that are named where one is not there. */
const fieldsNamed = 10;

/**
 * Tells of a query's options that came to nothing: columns that no model has, a tree that no model is of, a limit per base where
 * no base is known. The catalogue is asked only where the hits leave it open, and once of each tree.
 */
export function createOptionRemarks(
  { show = [], tree = [], perBase }: Pick<QueryOptions, "show" | "tree" | "perBase">,
  port: Pick<RetrievalPort, "listSpaces" | "listModels">,
): (answer: QueryHits) => Promise<readonly string[]> {
  const known = new Map<string, Promise<boolean>>();
  const isTree = (name: string): Promise<boolean> => {
    const asked = known.get(name) ?? hasTree(name, port);
    known.set(name, asked);
    return asked;
  };
  return async ({ hits }) => {
    const remarks: string[] = [];
    const baseless = hits.filter(({ record }) => record?.base === "").length;
    if (perBase !== undefined && baseless > 0) remarks.push(`--per-base: not limited: ${toHits(baseless)} no base`);
    if (hits.length === 0) {
      for (const name of tree) {
        if (!(await isTree(name))) remarks.push(`--tree: no model is of a tree ${JSON.stringify(name)}`);
      }
      return remarks.map(toPlain);
    }
    const isEmpty = (field: string): boolean =>
      hits.every(({ record }) => record === undefined || toFieldText(record, field) === "");
    for (const field of show.filter((name) => name.includes(".") && isEmpty(name))) {
      const { spaces } = await port.listSpaces();
      const fields = [...new Set(spaces.flatMap((space) => space.fields))];
      if (fields.includes(field)) continue;
      const named = fields.slice(0, fieldsNamed).join(", ") || "none";
      remarks.push(`--show: no model has ${field}${suggestNames(field, fields) || `; there are ${named}`}`);
    }
    return remarks.map(toPlain);
  };
}

function toHits(count: number): string {
  return count === 1 ? "1 hit has" : `${count} hits have`;
}

async function hasTree(name: string, port: Pick<RetrievalPort, "listSpaces" | "listModels">): Promise<boolean> {
  const { spaces } = await port.listSpaces();
  for (const { spaceId } of spaces) {
    const filter = { field: "tree", op: "eq", value: name } as const;
    const { records } = await port.listModels({ space: spaceId, filter, pageSize: 1, pageToken: "" });
    if (records.length > 0) return true;
  }
  return false;
}
