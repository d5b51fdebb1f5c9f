/** Files of which a model must have one. */
export interface FileGroup {
  /** The first that the model has is taken. */
  readonly anyOf: readonly string[];
  /** A file of the same name with this appended is taken too, if there is one. */
  readonly sidecarSuffix?: string;
}

/** Which files of a model are wanted. */
export interface WantedFiles {
  readonly required: readonly FileGroup[];
  /** Taken where the model has them. */
  readonly optional: readonly string[];
  /** What to do where a required one is missing, for a message. */
  readonly remedy: string;
}

/** Files to take. */
export interface ChosenFiles {
  readonly files: readonly string[];
  /** Paths whose presence or absence decided it. */
  readonly decisive: readonly string[];
}

/** Chooses among the files that a model has; the group of which it has none is `missing`. */
export function chooseFiles(
  { required, optional }: WantedFiles,
  present: ReadonlySet<string>,
): ChosenFiles | { readonly missing: FileGroup } {
  const files = optional.filter((path) => present.has(path));
  const decisive = [...optional];
  for (const group of required) {
    const { anyOf, sidecarSuffix } = group;
    const at = anyOf.findIndex((path) => present.has(path));
    const path = anyOf[at];
    if (path === undefined) return { missing: group };
    decisive.push(...anyOf.slice(0, at + 1));
    if (sidecarSuffix !== undefined) {
      const sidecar = `${path}${sidecarSuffix}`;
      decisive.push(sidecar);
      if (present.has(sidecar)) files.push(sidecar);
    }
    files.push(path);
  }
  return { files, decisive };
}

/** All paths that a choice may ask about. */
export function toCandidates({ required, optional }: WantedFiles): string[] {
  const needed = required.flatMap(({ anyOf, sidecarSuffix }) => [
    ...anyOf,
    ...(sidecarSuffix === undefined ? [] : anyOf.map((path) => `${path}${sidecarSuffix}`)),
  ]);
  return [...needed, ...optional];
}

/** The files in words, for people who fetch them by hand. */
export function describeFiles({ required, optional }: WantedFiles): string {
  const groups = required.map(({ anyOf, sidecarSuffix }) => {
    const [first = ""] = anyOf;
    const name = anyOf.length === 1 ? first : `the first that is there of ${anyOf.join(", ")}`;
    return sidecarSuffix === undefined ? name : `${name} (with its ${sidecarSuffix} file, if there is one)`;
  });
  return `${groups.join("; ")}; and those that are there of ${optional.join(", ")}`;
}
