import type { ExecutionContext } from "ava";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import type { ModelHit, QueryHits } from "../../src/retrieval/retrieval-port.js";

/** What one query found; fails the test if it was refused. */
export function foundBy(t: ExecutionContext<unknown>, outcome: QueryHits | ProbestreamError | undefined): QueryHits {
  if (outcome === undefined || outcome instanceof ProbestreamError) throw t.fail(String(outcome));
  return outcome;
}

/** The hits of one query; fails the test if it was refused. */
export function hitsOf(
  t: ExecutionContext<unknown>,
  outcome: QueryHits | ProbestreamError | undefined,
): readonly ModelHit[] {
  return foundBy(t, outcome).hits;
}
