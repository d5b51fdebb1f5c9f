import { toPlain } from "./table.js";

/** Of each group so many are named. */
const examples = 5;

/** Things of one kind, and what is said of them. */
export interface Group<K extends string> {
  /** Text before the number of them. */
  readonly titles: Readonly<Record<K, string>>;
  /** Kind and text of each. */
  readonly members: readonly { readonly kind: K; readonly text: string }[];
}

/** Lines that tell how many there are of each kind, with examples: kinds in the order of `titles`. */
export function toGroupLines<K extends string>({ titles, members }: Group<K>): string[] {
  return (Object.entries(titles) as [K, string][]).flatMap(([kind, title]) => {
    const own = members.filter((member) => member.kind === kind);
    if (own.length === 0) return [];
    const more = own.length > examples ? [`  … and ${own.length - examples} more`] : [];
    return [`${title}: ${own.length}`, ...own.slice(0, examples).map(({ text }) => toPlain(`  ${text}`)), ...more];
  });
}
