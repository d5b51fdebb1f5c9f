/**
 * Client of Probestream: streams model weights to a server and says what the model does.
 *
 * @module
 */
export type { Matrix } from "../../../src/compute/compute-backend.js";
export type { ErrorReason } from "../../../src/errors/error-reason.js";
export {
  AbortedError,
  AccessDeniedError,
  CorruptDataError,
  type ErrorFacts,
  type ErrorKind,
  InternalError,
  InvalidInputError,
  LimitExceededError,
  NotFoundError,
  PreconditionError,
  ProbestreamError,
  UnauthenticatedError,
  UnavailableError,
} from "../../../src/errors/probestream-error.js";
export type { Dtype } from "../../../src/linalg/dtype.js";
export type {
  CatalogueSpace,
  DoubtfulLabel,
  Duplicate,
  LabelScore,
  LabelScores,
  SkippedSpace,
  TruncatedExample,
  UnjudgedLabel,
  UnknownWords,
} from "../../../src/retrieval/retrieval-port.js";
export type { ExpertInfo, ExpertList, LayerInfo } from "../../../src/rpc/convert/expert.js";
export type { ServerBackend, ServerInfo, ServerLimits, ServerMemory } from "../../../src/rpc/convert/server-info.js";
export { version } from "../../../src/rpc/version.js";
export type { EmbedProgress } from "../../../src/search/embed-files-progress.js";
export { readTexts, type Texts } from "../../../src/search/read-texts.js";
export type { RouteCandidate } from "../../../src/search/route-model.js";
export type { TreeMatch } from "../../../src/trees/tree-match.js";
export type { Comparison, Filter, Scalar } from "../../../src/vectors/filter.js";
export type { Client } from "./client.js";
export { type ConnectOptions, connect, defaultTarget, type Tls } from "./connect.js";
export type { EmbedOptions, EmbedOutcome } from "./embed.js";
export { and, exists, not, or, where } from "./filters.js";
export type { Index, Model, ModelSource } from "./models.js";
export type { Names } from "./names.js";
export type {
  ClassifyOptions,
  DuplicatesOptions,
  ExportOptions,
  GetOptions,
  ImportOptions,
  ListOptions,
  RetrieveOptions,
  Route,
  RouteOptions,
  Selection,
} from "./options.js";
export type { Example, ModelExample, Query } from "./queries.js";
export {
  type Answer,
  EmbedResult,
  type ExpertEmbedding,
  type Hit,
  type ModelRecord,
  type NewModelRecord,
} from "./results.js";
export type { Tensor, Tensors } from "./tensors.js";
