import type { SqlValue } from "./database.js";

/** Values of a statement, in the order of its placeholders. */
export class SqlValues {
  readonly all: SqlValue[] = [];

  /** Takes a value and gives the placeholder that stands for it. */
  add(value: SqlValue): string {
    this.all.push(value);
    return `$${this.all.length}`;
  }
}
