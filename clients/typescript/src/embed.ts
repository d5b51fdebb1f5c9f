import type { Matrix } from "../../../src/compute/compute-backend.js";
import { InvalidInputError, ProbestreamError } from "../../../src/errors/probestream-error.js";
import { showValue } from "../../../src/errors/show-value.js";
import { embedFiles } from "../../../src/search/embed-files.js";
import type { EmbedProgress } from "../../../src/search/embed-files-progress.js";
import type { EmbedPort } from "../../../src/search/embed-port.js";
import type { Texts } from "../../../src/search/read-texts.js";
import {
  assertIndex,
  type GivenModel,
  type Index,
  type Model,
  toGivenModel,
  toIndexFacts,
  toModelId,
} from "./models.js";
import { type Names, toNames } from "./names.js";
import { EmbedResult } from "./results.js";

/** How models are embedded. */
export interface EmbedOptions {
  /** Experts by name or space id. Default: the weights choose, or the only one that fits serves. */
  readonly experts?: Names | undefined;
  /** Projects here, in threads of this process, and sends sums in place of the weights: they never leave it. Default false. */
  readonly local?: boolean | undefined;
  /** Folder where `local` keeps probes of experts. Default `probestream/probes` in `XDG_CACHE_HOME`, else `~/.cache`. */
  readonly probes?: string | undefined;
  /** Text vectors to compare representations with: of `readTexts`, or one per row. */
  readonly texts?: Texts | Matrix | readonly (readonly number[])[] | undefined;
  /** Puts models into the server's catalogue; true for no facts beside what their files say. Default false. */
  readonly index?: Index | boolean | undefined;
  /** Hears of every change; always the same object with other numbers. What it throws ends the call. */
  readonly onProgress?: ((progress: EmbedProgress) => void) | undefined;
  /** Stops everything; the call then throws its reason, and nothing unfinished is kept. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for all of it; then it ends with a `TimeoutError`. Default: as long as it takes. */
  readonly deadlineMs?: number | undefined;
  /** Sent to the servers of URLs, and to none that they redirect to. Default none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Streams at once. Default 4. */
  readonly concurrency?: number | undefined;
  /** Further attempts after a failure that may pass, as long as none of them gets on. Default 6: some 10 seconds. */
  readonly retries?: number | undefined;
}

/** Options of `embed`. */
export const embedOptions = [
  ...["experts", "local", "probes", "texts", "index", "onProgress"],
  ...["signal", "deadlineMs", "headers", "concurrency", "retries"],
] as const satisfies readonly (keyof EmbedOptions)[];

/** What embeds: the connection, or this process for it. */
export type OpenPort = (options: Pick<EmbedOptions, "local" | "probes">) => EmbedPort | Promise<EmbedPort>;

/** What became of one model of many. */
export interface EmbedOutcome {
  /** Place among the models, from 0. */
  readonly index: number;
  readonly modelId: string;
  readonly result: EmbedResult | ProbestreamError;
}

/**
 * Embeds models, as many as there are; outcomes come as they are done, not in order.
 *
 * @throws the signal's reason, UnauthenticatedError if the server does not take the token, UnavailableError if it is gone,
 * AbortedError `STREAM_IDLE` if it takes the connection and never answers, and what `openPort` throws.
 */
export async function* embedEach(
  openPort: OpenPort,
  models: Iterable<Model> | AsyncIterable<Model>,
  options: EmbedOptions = {},
): AsyncGenerator<EmbedOutcome, void, undefined> {
  const { experts = [], texts, index, onProgress, signal, deadlineMs, headers, local, probes, ...rest } = options;
  assertIndex(index);
  const controller = new AbortController();
  const signals = [controller.signal, ...(signal === undefined ? [] : [signal])];
  if (deadlineMs !== undefined) signals.push(AbortSignal.timeout(deadlineMs));
  /** Those on their way, by place; what is no model waits here for its turn. */
  const given = new Map<number, GivenModel>();
  const refused: EmbedOutcome[] = [];
  /** Places of the models that are opened, by the order in which they are. */
  const places: number[] = [];

  async function* sources(): AsyncGenerator<GivenModel["source"]> {
    let place = 0;
    for await (const model of models) {
      const at = place++;
      try {
        const one = toGivenModel(model, at);
        given.set(places.length, one);
        places.push(at);
        yield one.source;
      } catch (error) {
        if (!(error instanceof ProbestreamError)) throw error;
        refused.push({ index: at, modelId: "", result: error });
      }
    }
  }

  const outcomes = embedFiles(sources(), await openPort({ local, probes }), {
    ...rest,
    experts: toNames(experts, "experts"),
    texts: toMatrix(texts),
    modelOptions: () => ({ headers }),
    index: (file, _, at) => {
      const one = given.get(at);
      return one && toIndexFacts(one, file, index);
    },
    signal: AbortSignal.any(signals),
    onProgress:
      onProgress &&
      ((progress) => {
        try {
          onProgress(progress);
        } catch (error) {
          controller.abort(error);
        }
      }),
  });
  for await (const { index: at, location, outcome } of outcomes) {
    yield* refused.splice(0);
    const one = given.get(at);
    given.delete(at);
    const modelId = one === undefined ? location : toModelId(one, location);
    const result = outcome instanceof ProbestreamError ? outcome : new EmbedResult(modelId, outcome);
    yield { index: places[at] ?? at, modelId, result };
  }
  yield* refused;
}

function toMatrix(texts: EmbedOptions["texts"]): Matrix | undefined {
  if (texts === undefined) return undefined;
  if (typeof texts !== "object" || texts === null) throw noVectors(texts);
  if ("vectors" in texts) return texts.vectors;
  if ("values" in texts && "rows" in texts) return texts;
  if (!Array.isArray(texts)) throw noVectors(texts);
  const rows: readonly (readonly number[])[] = texts;
  for (const row of rows) if (!isVector(row)) throw noVectors(row);
  const columns = rows[0]?.length ?? 0;
  const odd = rows.findIndex(({ length }) => length !== columns);
  if (odd >= 0) {
    const message = `text vector ${odd} has ${rows[odd]?.length} numbers and the first ${columns}; give vectors of one width`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { row: odd, columns });
  }
  return { rows: rows.length, columns, values: Float32Array.from(rows.flatMap((row) => [...row])) };
}

function isVector(row: unknown): boolean {
  if (row instanceof Float32Array || row instanceof Float64Array) return true;
  return Array.isArray(row) && row.every((value) => typeof value === "number");
}

function noVectors(given: unknown): InvalidInputError {
  const message = `texts are given as ${showValue(given)}; give vectors: those of readTexts, or a list of numbers per text. A text itself is for retrieve.`;
  return new InvalidInputError("FIELD_INVALID", message, { field: "texts" });
}
