import { InvalidInputError } from "../../errors/probestream-error.js";

/** Metadata key under which kohya's trainer keeps how often each tag occurs in the captions of the training images. */
export const tagFrequencyKey = "ss_tag_frequency";

/** A tag counts if at least this share of the most frequent tag's images have it. */
const leastShare = 0.5;
/** Most tags taken of one model. */
const mostTags = 1024;

/**
 * Reads the tags that a LoRA was trained on from `ss_tag_frequency`: JSON of the form
 * `{"10_folder": {"tag": count, …}, …}`. Counts of a tag are added up over the folders; the labels are the tags that occur
 * at least half as often as the most frequent one, the most frequent first, equally frequent ones by name. Tags keep their
 * spelling, but for white space around them.
 *
 * @throws InvalidInputError `FIELD_INVALID` if the text is no such JSON, a count is not a number from 0 on, or more than
 * 1024 tags are left, as where each image has a caption of its own.
 */
export function parseTagFrequency(text: string): string[] {
  const counts = new Map<string, number>();
  for (const [folder, tags] of toEntries(parseJson(text), "the value")) {
    for (const [tag, count] of toEntries(tags, `the folder ${JSON.stringify(folder.slice(0, 80))}`)) {
      if (typeof count !== "number" || !(count >= 0)) {
        throw wrong(`the tag ${JSON.stringify(tag.slice(0, 80))} has no count`);
      }
      const name = tag.trim();
      if (name !== "") counts.set(name, (counts.get(name) ?? 0) + count);
    }
  }
  const most = [...counts.values()].reduce((highest, count) => Math.max(highest, count), 0);
  const frequent = [...counts].filter(([, count]) => count > 0 && count >= leastShare * most);
  if (frequent.length > mostTags) {
    throw wrong(`${frequent.length} tags are equally frequent, at most ${mostTags} are taken: they tell nothing apart`);
  }
  return frequent.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([name]) => name);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw wrong("it is not JSON", { cause });
  }
}

function toEntries(value: unknown, name: string): [string, unknown][] {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.entries(value);
  throw wrong(`${name} is no object`);
}

function wrong(found: string, options?: ErrorOptions): InvalidInputError {
  const message = `its "${tagFrequencyKey}" is not {"folder": {"tag": count}}: ${found}`;
  return new InvalidInputError("FIELD_INVALID", message, {}, options);
}
