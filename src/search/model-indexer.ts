import { toProbestreamError } from "../errors/plain-error.js";
import { PreconditionError, type ProbestreamError } from "../errors/probestream-error.js";
import type { IndexFacts } from "../vectors/index-facts.js";
import type { ModelEmbedding } from "./embed-stream.js";

/** Puts models into a catalogue as they are embedded. */
export interface ModelIndexer {
  /**
   * What of a model's facts is kept, before any of its bytes is taken.
   *
   * @throws InvalidInputError `FIELD_INVALID`, LimitExceededError `LIMIT_EXCEEDED`.
   */
  check(facts: IndexFacts): IndexFacts;
  /** Writes a model into the space of every expert that embedded it; gives its id once it is durable there. */
  index(facts: IndexFacts, embedding: Pick<ModelEmbedding, "weightsHash" | "embeddings">): Promise<string>;
}

/** A model's facts with where they go. */
export interface IndexTask {
  readonly facts: IndexFacts;
  readonly indexer: ModelIndexer;
  /** What the facts take in memory, about. */
  readonly bytes: number;
}

/**
 * Looks at what a header wants to be known of its model.
 *
 * @throws PreconditionError `STORE_MISSING` without an indexer; what {@link ModelIndexer.check} throws.
 */
export function toIndexTask(facts: IndexFacts | undefined, indexer: ModelIndexer | undefined): IndexTask | undefined {
  if (facts === undefined) return undefined;
  if (indexer === undefined) {
    throw new PreconditionError(
      "STORE_MISSING",
      "the model is to be indexed, and there is no catalogue to index it in; give a place for one with --store",
    );
  }
  const kept = indexer.check(facts);
  return { facts: kept, indexer, bytes: factBytes(kept) };
}

/** The outcome of a model once it is durable in the catalogue, if it is to be there; or why it is not. */
export async function withIndexed(
  embedding: ModelEmbedding,
  task: IndexTask | undefined,
): Promise<ModelEmbedding | ProbestreamError> {
  if (task === undefined) return embedding;
  try {
    return { ...embedding, indexedId: await task.indexer.index(task.facts, embedding) };
  } catch (error) {
    return toProbestreamError(error);
  }
}

function factBytes({ modelId, metadata = {}, claims = {}, base = "" }: IndexFacts): number {
  const texts = [...Object.entries(metadata), ...Object.entries(claims)];
  const characters = texts.reduce((sum, [name, value]) => sum + 64 + name.length + String(value).length, 0);
  return 512 + 2 * (modelId.length + base.length + characters);
}
