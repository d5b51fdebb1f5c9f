import { assertFilter } from "../../assert-filter.js";
import { isStorableText } from "../../assert-text.js";
import { type KnownFields, prefixes, type ScalarType } from "../../field-value.js";
import type { Filter } from "../../filter.js";
import type { Database } from "./database.js";
import type { SpaceTable } from "./space-table.js";
import { SqlValues } from "./sql-values.js";

/** How long what was seen of fields is believed, in milliseconds. */
const trustMs = 5000;

/** Says which fields the records of spaces have. */
export interface SpaceFields {
  /** All fields with their types, by a look at every record some seconds ago at most. */
  all(space: SpaceTable): Promise<KnownFields>;
  /**
   * The fields that a filter names, as far as a record has them; all, where one is missing, so that a message can list
   * them. Each costs a look into an index.
   */
  of(space: SpaceTable, filter: Filter | undefined): Promise<KnownFields>;
  /** Which of these fields a record has. */
  having(space: SpaceTable, fields: readonly string[]): Promise<ReadonlySet<string>>;
  /** Records of a space were replaced or deleted: what was known of it may be wrong. */
  forget(space: SpaceTable): void;
}

/** Collects the fields that a filter names, while it is seen to that it means something. */
class NamedFields extends Map<string, readonly ScalarType[]> {
  override has(field: string): boolean {
    this.set(field, []);
    return true;
  }
}

/** Creates {@link SpaceFields}. */
export function createSpaceFields(database: Database): SpaceFields {
  const seen = new Map<number, Map<string, number>>();
  const listings = new Map<number, { readonly at: number; readonly fields: Promise<KnownFields> }>();

  const scan = async ({ table }: SpaceTable): Promise<KnownFields> => {
    const parts = Object.entries(prefixes).map(
      ([column, prefix]) =>
        `SELECT DISTINCT '${prefix}' || (pair).key AS field, jsonb_typeof((pair).value) AS type
         FROM (SELECT jsonb_each(${column}) AS pair FROM ${table}) AS pairs`,
    );
    const rows = await database.read<{ field: string; type: ScalarType }>(parts.join(" UNION ALL "));
    const fields = new Map<string, ScalarType[]>();
    for (const { field, type } of rows) fields.set(field, [...(fields.get(field) ?? []), type]);
    return fields;
  };

  const all = (space: SpaceTable): Promise<KnownFields> => {
    const { number } = space;
    const known = listings.get(number);
    if (known !== undefined && Date.now() - known.at < trustMs) return known.fields;
    const listing = { at: Date.now(), fields: scan(space) };
    listings.set(number, listing);
    listing.fields.catch(() => {
      if (listings.get(number) === listing) listings.delete(number);
    });
    return listing.fields;
  };

  const look = async ({ table }: SpaceTable, fields: readonly string[]): Promise<readonly string[]> => {
    const values = new SqlValues();
    const parts = fields.flatMap((field) =>
      Object.entries(prefixes)
        .filter(([, prefix]) => field.startsWith(prefix))
        .map(([column, prefix]) => {
          const name = values.add(field.slice(prefix.length));
          return `SELECT ${values.add(field)}::text AS field WHERE EXISTS (SELECT 1 FROM ${table} WHERE ${column} ? ${name}::text)`;
        }),
    );
    if (parts.length === 0) return [];
    return (await database.read<{ field: string }>(parts.join(" UNION ALL "), values.all)).map(({ field }) => field);
  };

  const having = async (space: SpaceTable, fields: readonly string[]): Promise<ReadonlySet<string>> => {
    const now = Date.now();
    const believed = seen.get(space.number) ?? new Map<string, number>();
    // Kept now, and not after the look: what is forgotten meanwhile stays forgotten.
    seen.set(space.number, believed);
    const isBelieved = (field: string): boolean => now - (believed.get(field) ?? 0) <= trustMs;
    const asked = fields.filter((field) => !isBelieved(field) && isStorableText(field));
    const found = asked.length === 0 ? [] : await look(space, asked);
    for (const field of found) believed.set(field, now);
    return new Set(fields.filter(isBelieved));
  };

  return {
    all,
    having,
    of: async (space, filter) => {
      if (filter === undefined) return new Map();
      const named = new NamedFields();
      assertFilter(filter, named);
      const found = await having(space, [...named.keys()]);
      return found.size === named.size ? named : all(space);
    },
    forget: ({ number }) => {
      seen.delete(number);
      listings.delete(number);
    },
  };
}
