import type { RouteAnswer } from "../../../src/search/route-model.js";
import type { Filter } from "../../../src/vectors/filter.js";
import type { EmbedOptions } from "./embed.js";
import type { Names } from "./names.js";

/** What hits bring along. */
export interface RetrieveOptions {
  /** Whether hits bring their models' records. Default false. */
  readonly withRecords?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What labels are asked about. */
export interface ClassifyOptions {
  /** To choose from. Default the expert's label bank. */
  readonly labels?: Names | undefined;
  /** To ask, where a model is known to several. */
  readonly experts?: Names | undefined;
  /** Default what the expert was trained for. */
  readonly mode?: "one-of-many" | "any-of-many" | undefined;
  /** Labels per model. Default all. */
  readonly top?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which copies are meant. */
export interface DuplicatesOptions {
  /** Cosine that copies have at least. Default 0.999. */
  readonly minCosine?: number | undefined;
  /** Copies per model. Default as the server has it. */
  readonly k?: number | undefined;
  readonly experts?: Names | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which records are got. */
export interface GetOptions {
  /** Besides the ids: hashes of weights. */
  readonly weightsHashes?: Names | undefined;
  /** Spaces, by id or expert's name. Default all. */
  readonly spaces?: Names | undefined;
}

/** Which records of a space. */
export interface Selection {
  /** Space id, an unambiguous prefix, or an expert's name. Default the only space that serves. */
  readonly space?: string | undefined;
  readonly filter?: Filter | undefined;
}

/** Which records, and how many are asked for at a time. */
export interface ListOptions extends Selection {
  readonly pageSize?: number | undefined;
}

/** Which records, and what stops them. */
export interface ExportOptions extends Selection {
  readonly signal?: AbortSignal | undefined;
}

/** Where records are written. */
export interface ImportOptions {
  /** The space; made if it is not there. */
  readonly spaceId: string;
  /** The expert's name, for a new space. */
  readonly expertName?: string | undefined;
  /** Whether a new space waits until it is switched to. Default false. */
  readonly fill?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a model is routed. */
export interface RouteOptions extends Pick<EmbedOptions, "experts" | "headers" | "signal"> {}

/** Where a model belongs, as far as its beginning tells. */
export interface Route extends Pick<RouteAnswer, "decision" | "candidates"> {
  /** Bytes of weights that were sent to find out. */
  readonly bytesSent: number;
}
