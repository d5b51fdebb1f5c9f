import { ProbestreamError } from "../errors/probestream-error.js";
import type { FileOutcome } from "../search/embed-files.js";
import type { PortEmbedding, PortResult } from "../search/embed-port.js";
import { type Score, scoreOf, toScores } from "./scores.js";
import { type Column, fitWidth, keepEnd, toHeading, toPlain, toRow, toRule } from "./table.js";

/** Turns outcomes into lines. */
export interface ResultWriter {
  /** Lines of an outcome; with the first result, those of a heading before it. */
  toLines(outcome: FileOutcome): string[];
}

/** What a writer must know. */
export interface WriterOptions {
  /** Names of the text vectors. */
  readonly textLabels: readonly string[];
  /** Labels shown per model; absent for the writer's own choice. */
  readonly top: number | undefined;
}

/** Names of experts are not known before the first result. */
const expertWidth = 16;

/** Labels in a table where nothing else is said. */
const defaultTop = 3;

const columns: readonly Column[] = [
  { title: "file" },
  { title: "expert" },
  { title: "ms", align: "right" },
  // Its title, which says what the numbers are, follows from the first result.
  { title: "" },
];

/** One JSON object per line and expert; errors as `{"file", "error"}`. */
export function createJsonWriter({ textLabels, top }: WriterOptions): ResultWriter {
  return {
    toLines: ({ location, outcome }) =>
      outcome instanceof ProbestreamError
        ? [toErrorJson(location, outcome)]
        : outcome.embeddings.map((embedding) =>
            JSON.stringify({
              file: location,
              spaceId: embedding.spaceId,
              expert: embedding.expertName,
              representation: Array.from(embedding.representation),
              labels: toScores(embedding, textLabels).slice(0, top),
              ...(embedding.tree !== undefined && { tree: embedding.tree }),
              timings: outcome.timings,
              bytes: { received: outcome.bytesReceived, total: outcome.bytesTotal },
              backends: outcome.backends,
            }),
          ),
  };
}

/** An error as a line of JSON. */
export function toErrorJson(file: string, error: ProbestreamError): string {
  return JSON.stringify({ file, ...toErrorFields(error) });
}

/** An error as the field of an object of JSON. */
export function toErrorFields({ reason, kind, message, facts }: ProbestreamError): {
  readonly error: Readonly<Record<string, unknown>>;
} {
  const shown = Object.fromEntries(Object.entries(facts).map(([key, value]) => [key, toJsonValue(value)]));
  return { error: { reason, kind, message, facts: shown } };
}

/** A table that is written while results come; errors are left to the summary. */
export function createTableWriter({ textLabels, top }: WriterOptions, locations: readonly string[]): ResultWriter {
  const fileWidth = fitWidth(locations);
  const widths = [fileWidth, expertWidth, 8, 0];
  const toCells = (location: string, result: PortResult): string[][] =>
    result.embeddings.map((embedding) => [
      keepEnd(toPlain(location), fileWidth),
      toPlain(embedding.expertName),
      toWorkMs(result.timings).toFixed(1),
      toLabelText(toScores(embedding, textLabels).slice(0, top ?? defaultTop), embedding.representation.length) +
        toTreeText(embedding),
    ]);
  let hasHeading = false;
  const takeHeading = ({ embeddings }: PortResult): string[] => {
    if (hasHeading) return [];
    hasHeading = true;
    const titled = [...columns.slice(0, -1), { title: toLabelTitle(embeddings[0]) }];
    return [toHeading(titled, widths), toRule([fileWidth, expertWidth, 8, 40])];
  };
  return {
    toLines: ({ location, outcome }) =>
      outcome instanceof ProbestreamError
        ? []
        : [...takeHeading(outcome), ...toCells(location, outcome).map((cells) => toRow(columns, widths, cells))],
  };
}

/** A warning where the expert was named and the model is of another tree. */
function toTreeText({ tree }: PortEmbedding): string {
  if (tree === undefined || tree.isAccepted) return "";
  const { distance, radius } = tree;
  return toPlain(
    `  (not of tree ${tree.tree}: distance ${distance.toPrecision(3)}, it accepts ${radius.toPrecision(3)})`,
  );
}

function toLabelTitle(embedding: PortEmbedding | undefined): string {
  if (embedding === undefined) return "labels";
  if (embedding.cosines.length > 0) return "labels (cosine)";
  return embedding.probabilities.length > 0 ? "labels (probability)" : "labels";
}

/** Milliseconds spent on a model itself: its total has waits in it, for models that share its block above all. */
function toWorkMs({ receive, digest, project, head }: PortResult["timings"]): number {
  return receive + digest + project + head;
}

function toLabelText(scores: readonly Score[], width: number): string {
  if (scores.length === 0) return `(${width} numbers; --texts compares them with labels)`;
  return scores.map((score) => `${toPlain(score.label)} ${scoreOf(score).toFixed(3)}`).join(", ");
}

function toJsonValue(value: string | number | bigint): string | number {
  return typeof value === "bigint" ? String(value) : value;
}
