import { ProbestreamError } from "../../../src/errors/probestream-error.js";
import type { Duplicate, LabelScores } from "../../../src/retrieval/retrieval-port.js";
import type { ProbestreamClient } from "../../../src/rpc/client.js";
import type { ExpertInfo, ExpertList } from "../../../src/rpc/convert/expert.js";
import type { ServerInfo } from "../../../src/rpc/convert/server-info.js";
import { toSentMetadata } from "../../../src/search/plan-request.js";
import { routeFile } from "../../../src/search/route-file.js";
import { openModel } from "../../../src/weights/model-file.js";
import { assertOptions } from "./assert-options.js";
import { Catalogue } from "./catalogue.js";
import { type EmbedOptions, type EmbedOutcome, embedEach, embedOptions, type OpenPort } from "./embed.js";
import { isList } from "./is-list.js";
import { LocalProbing } from "./local-probing.js";
import { type Model, toGivenModel, toModelId } from "./models.js";
import { toNames } from "./names.js";
import type { ClassifyOptions, DuplicatesOptions, RetrieveOptions, Route, RouteOptions } from "./options.js";
import { type ModelExample, type Query, queryFields, toModelExample, toRetrievalQuery } from "./queries.js";
import { type Answer, type EmbedResult, toAnswer } from "./results.js";

/** Bytes of a layer that are sent to ask where it belongs: messages have 4 MiB. */
const maxRouteBytes = 3 * 1024 * 1024;

/** Where fields belong that are often given to `embed`. */
const embedAdvice = { id: "a model's own name goes beside its source: { path, id }", expert: "name it by experts" };

/** Where fields belong that are often given to `retrieve`. */
const queryAdvice = Object.fromEntries(
  queryFields.map((name) => [name, "it is a field of the query, the argument before"]),
);

/**
 * A connection to a server; `connect` makes one. Every method throws `ProbestreamError`, or the reason of a signal that
 * stopped it. Of one model or query the error is thrown; of several, an error stands in the place of its item's answer, and
 * the other answers are there.
 */
export class Client extends Catalogue {
  readonly #port: ProbestreamClient;
  readonly #local: LocalProbing;

  constructor(port: ProbestreamClient) {
    super(port);
    this.#port = port;
    this.#local = new LocalProbing(port);
  }

  /** Streams one model to the server, or with `local` its sums alone, and returns its representations. */
  embed(model: Model, options?: EmbedOptions): Promise<EmbedResult>;
  /** Streams models, and returns what became of each, in their order. */
  embed(models: readonly Model[], options?: EmbedOptions): Promise<(EmbedResult | ProbestreamError)[]>;
  async embed(
    given: Model | readonly Model[],
    options: EmbedOptions = {},
  ): Promise<EmbedResult | (EmbedResult | ProbestreamError)[]> {
    assertOptions(options, embedOptions, "embed", embedAdvice);
    const results: (EmbedResult | ProbestreamError)[] = [];
    for await (const { index, result } of this.embedIter(isList(given) ? given : [given], options)) {
      results[index] = result;
    }
    return isList(given) ? results : theOne(results);
  }

  /** Streams any number of models; outcomes come as they are done, not in order. */
  embedIter(
    models: Iterable<Model> | AsyncIterable<Model>,
    options: EmbedOptions = {},
  ): AsyncGenerator<EmbedOutcome, void, undefined> {
    assertOptions(options, embedOptions, "embedIter", embedAdvice);
    const openPort: OpenPort = ({ local, probes }) => {
      this.#local.assertOpen();
      return local ? this.#local.open(probes) : this.#port;
    };
    return embedEach(openPort, models, options);
  }

  /** Says which expert would serve a model, by as little of its layer as it takes. Commits nothing. */
  async route(model: Model, options: RouteOptions = {}): Promise<Route> {
    assertOptions(options, ["experts", "headers", "signal"], "route");
    const { experts = [], headers, signal } = options;
    const given = toGivenModel(model, 0);
    const file = await openModel(given.source, { headers, signal });
    try {
      const { tensors, metadata } = file;
      const question = {
        modelId: toModelId(given, file.location),
        uploadId: "",
        tensors,
        metadata: toSentMetadata(metadata),
        experts: toNames(experts, "experts"),
        hints: [],
      };
      const { answer, bytesRead } = await routeFile(
        file,
        (prefixes) => stoppedBy(signal, this.#port.route({ ...question, prefixes }, signal)),
        { maxBytes: maxRouteBytes, signal },
      );
      return { decision: answer.decision, candidates: answer.candidates, bytesSent: bytesRead };
    } finally {
      await file.close();
    }
  }

  /** Finds models that a query describes: a text, or more. */
  retrieve(query: string | Query, options?: RetrieveOptions): Promise<Answer>;
  /** Answers many queries at once. */
  retrieve(
    queries: readonly (string | Query)[],
    options?: RetrieveOptions,
  ): Promise<readonly (Answer | ProbestreamError)[]>;
  async retrieve(
    given: string | Query | readonly (string | Query)[],
    options: RetrieveOptions = {},
  ): Promise<Answer | readonly (Answer | ProbestreamError)[]> {
    assertOptions(options, ["withRecords", "signal"], "retrieve", queryAdvice);
    const { withRecords = false, signal } = options;
    const queries = (isList(given) ? given : [given]).map(toRetrievalQuery);
    const found = await stoppedBy(signal, this.#port.retrieve(queries, { withRecords, signal }));
    const answers = found.map((answer) => (answer instanceof ProbestreamError ? answer : toAnswer(answer)));
    return isList(given) ? answers : theOne(answers);
  }

  /** Says how well labels fit a model, the best first. */
  classify(model: ModelExample, options?: ClassifyOptions): Promise<LabelScores>;
  /** Says so of many models at once. */
  classify(
    models: readonly ModelExample[],
    options?: ClassifyOptions,
  ): Promise<readonly (LabelScores | ProbestreamError)[]>;
  async classify(
    given: ModelExample | readonly ModelExample[],
    options: ClassifyOptions = {},
  ): Promise<LabelScores | readonly (LabelScores | ProbestreamError)[]> {
    assertOptions(options, ["labels", "experts", "mode", "top", "signal"], "classify");
    const { labels, experts, mode, top, signal } = options;
    const question = {
      models: (isList(given) ? given : [given]).map(toModelExample),
      ...(labels !== undefined && { labels: toNames(labels, "labels") }),
      ...(experts !== undefined && { experts: toNames(experts, "experts") }),
      ...{ mode, top },
    };
    const answers = await stoppedBy(signal, this.#port.classify(question, signal));
    return isList(given) ? answers : theOne(answers);
  }

  /** Finds models of the catalogue that are nearly the same as one of it. */
  findDuplicates(modelId: string, options?: DuplicatesOptions): Promise<readonly Duplicate[]>;
  /** Finds those of many models at once. */
  findDuplicates(
    modelIds: readonly string[],
    options?: DuplicatesOptions,
  ): Promise<readonly (readonly Duplicate[] | ProbestreamError)[]>;
  async findDuplicates(
    given: string | readonly string[],
    options: DuplicatesOptions = {},
  ): Promise<readonly Duplicate[] | readonly (readonly Duplicate[] | ProbestreamError)[]> {
    assertOptions(options, ["minCosine", "k", "experts", "signal"], "findDuplicates");
    const { experts = [], ...rest } = options;
    const facts = { ...rest, experts: toNames(experts, "experts") };
    const asked = this.#port.findDuplicates(toNames(given, "the models"), facts);
    const answers = await stoppedBy(rest.signal, asked);
    return isList(given) ? answers : theOne(answers);
  }

  /** All experts of the server, and folders of its catalogue that hold none. */
  async experts(): Promise<ExpertList> {
    return this.#port.listExperts();
  }

  /** One expert by name, space id or an unambiguous prefix of it. */
  async getExpert(expert: string): Promise<ExpertInfo> {
    return this.#port.getExpert(expert);
  }

  /** What the server is and what it allows. */
  async serverInfo(): Promise<ServerInfo> {
    return this.#port.serverInfo();
  }

  /** Ends all calls, and the threads that `local` started. */
  async close(): Promise<void> {
    await this.#local.close();
    await this.#port.close();
  }
}

/** A call whose signal stopped it throws the signal's reason, whatever the connection made of that. */
async function stoppedBy<T>(signal: AbortSignal | undefined, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** The one answer that there is; its error is thrown. */
function theOne<T>([answer]: readonly (T | ProbestreamError)[]): T {
  if (answer === undefined) throw new TypeError("there is no answer");
  if (answer instanceof ProbestreamError) throw answer;
  return answer;
}
