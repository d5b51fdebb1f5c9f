import { resolve } from "node:path";
import { InvalidInputError } from "../errors/probestream-error.js";
import type { Json, NewJob } from "../retrieval/job-queue.js";
import type { Scalar } from "../vectors/filter.js";
import { isHttpUrl } from "../weights/http-url.js";
import { toDisplayLocation } from "../weights/to-display-location.js";
import type { IndexTarget } from "./index-targets.js";
import { type FactSources, toUserFacts, type UserFacts } from "./model-facts.js";

/** A model that a worker is to index, and how. */
export interface IndexJob extends UserFacts {
  readonly target: IndexTarget;
  readonly experts: readonly string[];
  readonly fill: boolean;
  readonly hashesFiles: boolean;
  readonly isAgain: boolean;
  readonly skipsCopies: boolean;
}

/** What a queue keeps of a job: paths become absolute, for workers run elsewhere. */
export function toNewJob(
  target: IndexTarget,
  sources: FactSources,
  how: Pick<IndexJob, "experts" | "isAgain" | "skipsCopies">,
): NewJob {
  const { metadata, base } = toUserFacts(target, sources);
  const { id, location } = target;
  return {
    location: isHttpUrl(location) ? location : resolve(location),
    options: {
      ...{ id, metadata, experts: how.experts },
      ...(base !== undefined && { base }),
      ...(sources.fill && { fill: true }),
      ...(sources.hashesFiles && { hashFiles: true }),
      ...(how.isAgain && { again: true }),
      ...(how.skipsCopies && { skipCopies: true }),
    },
  };
}

/**
 * Reads what {@link toNewJob} made.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a job that something else put into the queue.
 */
export function fromJob({ location, options = {} }: NewJob): IndexJob {
  const { id, metadata = {}, experts = [], base } = options;
  if (typeof id !== "string" || !isRecord(metadata) || !isTexts(experts)) {
    // The message stays in the queue.
    const message = `the job for "${toDisplayLocation(location)}" is none of \`probestream index --queue\``;
    throw new InvalidInputError("FIELD_INVALID", message);
  }
  return {
    ...{ target: { location, id }, metadata, experts, base: typeof base === "string" ? base : undefined },
    ...{ fill: options["fill"] === true, hashesFiles: options["hashFiles"] === true },
    ...{ isAgain: options["again"] === true, skipsCopies: options["skipCopies"] === true },
  };
}

function isRecord(value: Json): value is Readonly<Record<string, Scalar>> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((one) => ["string", "number", "boolean"].includes(typeof one))
  );
}

function isTexts(value: Json): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
