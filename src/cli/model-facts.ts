import { createHash } from "node:crypto";
import type { Scalar } from "../vectors/filter.js";
import type { IndexFacts } from "../vectors/index-facts.js";
import type { ModelFile } from "../weights/model-file.js";
import type { IndexTarget } from "./index-targets.js";
import type { MetadataFile } from "./metadata-file.js";

/** What the command line says of all models. */
export interface FactSources {
  readonly metadata: Readonly<Record<string, Scalar>>;
  readonly file: MetadataFile | undefined;
  readonly base: string | undefined;
  readonly fill: boolean;
  /** Read files whole for their hashes. */
  readonly hashesFiles: boolean;
}

/** What the user says of a model: rows of `--metadata` before `--meta`; a `base` among it is the model's base. */
export interface UserFacts {
  readonly metadata: Readonly<Record<string, Scalar>>;
  readonly base: string | undefined;
}

/** Puts together what the user says of a model. */
export function toUserFacts({ location, id }: IndexTarget, { metadata, file, base }: FactSources): UserFacts {
  const said = new Map([...Object.entries(metadata), ...Object.entries(file?.find(location, id) ?? {})]);
  const own = said.get("base");
  said.delete("base");
  return { metadata: Object.fromEntries(said), base: own === undefined ? base : String(own) };
}

/**
 * All that is to be known of a model. Memory: a piece of a file that is hashed.
 *
 * @throws what reading throws; the signal's reason.
 */
export async function toIndexFacts(
  target: IndexTarget,
  model: ModelFile,
  sources: FactSources,
  signal: AbortSignal,
): Promise<IndexFacts> {
  const { metadata, base } = toUserFacts(target, sources);
  return {
    ...{ modelId: target.id, metadata, claims: Object.fromEntries(model.metadata) },
    ...(base !== undefined && { base }),
    ...(sources.fill && { fill: true }),
    ...(sources.hashesFiles && model.files.length === 1 && { fileHash: await hashFile(model, signal) }),
  };
}

/** What of the metadata is not as it is to be; undefined if all is. */
export function toMetadataPatch(
  wanted: Readonly<Record<string, Scalar>>,
  found: Readonly<Record<string, Scalar>>,
): Readonly<Record<string, Scalar>> | undefined {
  const changes = Object.entries(wanted).filter(
    ([name, value]) => !Object.hasOwn(found, name) || found[name] !== value,
  );
  return changes.length === 0 ? undefined : Object.fromEntries(changes);
}

async function hashFile(model: ModelFile, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of model.streamFile(0, { signal })) hash.update(bytes);
  return hash.digest("hex");
}
