import { toCommonFolder } from "../trees/common-folder.js";
import type { Duplicates } from "../trees/identity/find-duplicates.js";
import type { DuplicateGroup } from "../trees/identity/group-links.js";
import { type Column, keepEnd, toTable } from "./table.js";

const columns: readonly Column[] = [
  { title: "kind" },
  { title: "models", align: "right" },
  { title: "distance", align: "right" },
  { title: "files" },
];

/** Groups that are shown at most, files of each, and characters of a file. */
const [mostGroups, mostFiles, fileWidth] = [100, 4, 48];

/** Lines of a table of models that are the same; none where there are none. */
export function toDuplicateLines({ groups }: Duplicates): string[] {
  if (groups.length === 0) return [];
  const folder = toCommonFolder(groups.flatMap(({ models }) => models.map(({ location }) => location)));
  const shown = groups.slice(0, mostGroups);
  const left = groups.length - shown.length;
  return [
    ...toTable(
      columns,
      shown.map((group) => toCells(group, folder)),
    ),
    ...(left > 0 ? [`and ${left} smaller groups (--json names all)`] : []),
  ];
}

function toCells({ kind, models, distance }: DuplicateGroup, folder: string): string[] {
  const files = models.slice(0, mostFiles).map(({ location }) => keepEnd(location.slice(folder.length), fileWidth));
  const more = models.length > mostFiles ? [`and ${models.length - mostFiles} more`] : [];
  return [kind, String(models.length), distance === 0 ? "0" : toShare(distance), [...files, ...more].join(", ")];
}

function toShare(distance: number): string {
  return `${(100 * distance).toPrecision(2)} %`;
}

/** Models that are the same, as `--json` has them. */
export function toDuplicateJson({ groups, models, skipped }: Duplicates) {
  return {
    models,
    groups: groups.map((group) => ({
      kind: group.kind,
      distance: group.distance,
      models: group.models.map(({ location, link }) => ({ file: location, ...link })),
    })),
    skipped: skipped.map(({ location, error }) => ({ file: location, reason: error.reason, message: error.message })),
  };
}
