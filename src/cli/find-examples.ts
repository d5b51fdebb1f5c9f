import { NotFoundError, ProbestreamError } from "../errors/probestream-error.js";
import type { Example } from "../retrieval/retrieval-port.js";
import { embedFiles } from "../search/embed-files.js";
import { exists } from "../system/exists.js";
import { isHttpUrl } from "../weights/http-url.js";
import type { ModelOptions } from "../weights/model-file.js";
import { toDisplayLocation } from "../weights/to-display-location.js";
import { CommandError, exitCodes, toExitCode, usageError } from "./exit-codes.js";
import { findKnownIds, readComparedIds, toModelNotFound } from "./find-models.js";
import type { OpenedCatalogue } from "./open-retrieval.js";

/** A word of the command line, fit for messages, with what it stands for: one example, of a file one per expert that embeds it. */
export interface FoundExample {
  readonly word: string;
  /** None where there is a failure. */
  readonly examples: readonly Example[];
  /** Why there is none: the word is neither a model nor a file (`MODEL_NOT_FOUND`), or the file cannot be embedded. */
  readonly failure?: ProbestreamError;
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
 * catalogue if there is one, else a file. Files are embedded, and not indexed. A word that fails costs the others nothing:
 * see {@link FoundExample.failure}, and {@link assertExample}.
 *
 * @throws CommandError for a text where none is allowed; what opening an embedder throws.
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
  const found = new Map<string, readonly Example[] | ProbestreamError>();
  const files = new Map<string, string>();
  let compared: readonly string[] | undefined;
  for (const { word, prefix, rest } of parts) {
    if (prefix === "text:") found.set(word, [toText(rest, options)]);
    else if (prefix !== "file:" && known.has(rest)) found.set(word, [{ modelId: rest }]);
    else if (prefix === "file:" || isHttpUrl(rest) || (prefix === undefined && (await exists(rest)))) {
      files.set(word, rest);
    } else {
      compared ??= await readComparedIds(catalogue);
      const { message } = toModelNotFound(rest, compared, prefix === undefined);
      found.set(word, new NotFoundError("MODEL_NOT_FOUND", message, { model: rest }));
    }
  }
  if (files.size > 0) for (const [word, examples] of await embed(files, opened, options)) found.set(word, examples);
  return words.map((word) => {
    const { prefix = "", rest } = toParts(word);
    const outcome = found.get(word) ?? [];
    const name = prefix + toDisplayLocation(rest);
    return outcome instanceof ProbestreamError
      ? { word: name, examples: [], failure: outcome }
      : { word: name, examples: outcome };
  });
}

/**
 * Guards that an example was found.
 *
 * @throws CommandError that names the file, or ids like the word.
 */
export function assertExample({ word, failure }: FoundExample): void {
  if (failure === undefined) return;
  const message = failure.reason === "MODEL_NOT_FOUND" ? failure.message : `${word}: ${failure.message}`;
  throw new CommandError(message, toExitCode(failure), { cause: failure });
}

/** The same for an example that is the only one: of several, those that were found are asked all the same. */
export function assertOnlyExample(found: readonly FoundExample[]): void {
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) assertExample(only);
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
): Promise<ReadonlyMap<string, readonly Example[] | ProbestreamError>> {
  const { port, experts } = await opened.embedder(wanted);
  const words = [...files.keys()];
  const found = new Map<string, readonly Example[] | ProbestreamError>();
  for await (const { index, outcome } of embedFiles(files.values(), port, { experts, modelOptions, signal })) {
    const word = words[index] ?? "";
    found.set(
      word,
      outcome instanceof ProbestreamError
        ? outcome
        : outcome.embeddings.map(({ representation, spaceId }) => ({ representation, spaceId })),
    );
  }
  signal.throwIfAborted();
  if (found.size < words.length) throw new CommandError("not all examples were embedded", exitCodes.unusable);
  return found;
}
