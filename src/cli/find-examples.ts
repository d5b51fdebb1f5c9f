import { ProbestreamError } from "../errors/probestream-error.js";
import type { Example } from "../retrieval/retrieval-port.js";
import { embedFiles } from "../search/embed-files.js";
import { isHttpUrl } from "../weights/http-url.js";
import type { ModelOptions } from "../weights/model-file.js";
import { toDisplayLocation } from "../weights/to-display-location.js";
import { exists } from "./exists.js";
import { CommandError, exitCodes, toExitCode, usageError } from "./exit-codes.js";
import { findKnownIds, modelNotFound } from "./find-models.js";
import type { OpenedCatalogue } from "./open-retrieval.js";

/** A word of the command line, fit for messages, with what it stands for: one example, of a file one per expert that embeds it. */
export interface FoundExample {
  readonly word: string;
  readonly examples: readonly Example[];
}

/** How examples are read. */
export interface ExampleOptions {
  /** Experts that files are embedded by; empty: those that fit. */
  readonly experts: readonly string[];
  /** Headers and tokens of remote files. */
  readonly modelOptions: (location: string) => Omit<ModelOptions, "signal">;
  /** Whether `text:…` is one. */
  readonly areTextsAllowed: boolean;
  readonly signal: AbortSignal;
}

const prefixes = ["text:", "id:", "file:"] as const;

/**
 * Finds what words mean: `text:…`, `id:…` and `file:…` say so; a URL is a file; any other word is the id of a model of the
 * catalogue if there is one, else a file. Files are embedded, and not indexed.
 *
 * @throws CommandError for a word that is neither, with ids like it, and for a file that cannot be embedded.
 */
export async function findExamples(
  words: readonly string[],
  opened: OpenedCatalogue,
  options: ExampleOptions,
): Promise<readonly FoundExample[]> {
  const { catalogue } = opened;
  const parts = [...new Set(words)].map(toParts);
  const plain = parts.filter(({ prefix, rest }) => prefix === "id:" || (prefix === undefined && !isHttpUrl(rest)));
  const known = await findKnownIds(
    catalogue,
    plain.map(({ rest }) => rest),
  );
  const found = new Map<string, readonly Example[]>();
  const files = new Map<string, string>();
  for (const { word, prefix, rest } of parts) {
    if (prefix === "text:") found.set(word, [toText(rest, options)]);
    else if (prefix !== "file:" && known.has(rest)) found.set(word, [{ modelId: rest }]);
    else if (prefix === "file:" || isHttpUrl(rest) || (prefix === undefined && (await exists(rest)))) {
      files.set(word, rest);
    } else throw await modelNotFound(catalogue, rest, prefix === undefined);
  }
  if (files.size > 0) for (const [word, examples] of await embed(files, opened, options)) found.set(word, examples);
  return words.map((word) => {
    const { prefix = "", rest } = toParts(word);
    return { word: prefix + toDisplayLocation(rest), examples: found.get(word) ?? [] };
  });
}

function toParts(word: string): {
  readonly word: string;
  readonly prefix: (typeof prefixes)[number] | undefined;
  readonly rest: string;
} {
  const prefix = prefixes.find((one) => word.startsWith(one));
  return { word, prefix, rest: word.slice(prefix?.length ?? 0) };
}

function toText(text: string, { areTextsAllowed }: ExampleOptions): Example {
  if (areTextsAllowed) return { text };
  throw usageError(`text:${text} is no model; \`probestream search\` takes texts`);
}

async function embed(
  files: ReadonlyMap<string, string>,
  opened: OpenedCatalogue,
  { experts: wanted, modelOptions, signal }: ExampleOptions,
): Promise<ReadonlyMap<string, readonly Example[]>> {
  const { port, experts } = await opened.embedder(wanted);
  const words = [...files.keys()];
  const found = new Map<string, readonly Example[]>();
  for await (const { index, outcome } of embedFiles(files.values(), port, { experts, modelOptions, signal })) {
    const word = words[index] ?? "";
    if (outcome instanceof ProbestreamError) {
      throw new CommandError(`${toDisplayLocation(word)}: ${outcome.message}`, toExitCode(outcome), { cause: outcome });
    }
    found.set(
      word,
      outcome.embeddings.map(({ representation, spaceId }) => ({ representation, spaceId })),
    );
  }
  signal.throwIfAborted();
  if (found.size < words.length) throw new CommandError("not all examples were embedded", exitCodes.unusable);
  return found;
}
