/**
 * Probestream as a library: read model files, plan, project, embed in this process or on a server, and serve.
 *
 * @module
 */
export type { ComputeBackend, Matrix, Product, ProductSides, RowBlock, RunningSum } from "./compute/compute-backend.js";
export { type BackendName, backendNames, createBackend, whyUnavailable } from "./compute/create-backend.js";
export type { BackendMeasurement } from "./compute/measure-backends.js";
export type { ErrorReason } from "./errors/error-reason.js";
export {
  AbortedError,
  AccessDeniedError,
  CorruptDataError,
  InternalError,
  InvalidInputError,
  LimitExceededError,
  NotFoundError,
  PreconditionError,
  ProbestreamError,
  UnauthenticatedError,
  UnavailableError,
} from "./errors/probestream-error.js";
export type { ExpertArchitecture, ProbexArchitecture } from "./experts/architecture.js";
export { type Catalogue, openCatalogue } from "./experts/catalogue.js";
export { type Checkpoint, type CheckpointShape, describeCheckpoint, readCheckpoint } from "./experts/checkpoint.js";
export { describeExpert, type Expert, type LoadedExpert, loadExpert } from "./experts/expert.js";
export type { ExpertProbes, ProbeTensor } from "./experts/expert-probes.js";
export { createHead, type Head } from "./experts/head.js";
export { type Dtype, dtypeBytes } from "./linalg/dtype.js";
export { widen } from "./linalg/widen.js";
export type { Accumulator, LayerMatrices, Projector, StatePart } from "./projection/accumulator.js";
export { createProbexProjector, type Probes } from "./projection/probex-projector.js";
export { createRangeReader, type RangeReader } from "./projection/range-reader.js";
export { segmentBytes } from "./projection/segments.js";
export { createIndexer, type Embedded, type Indexer } from "./retrieval/create-indexer.js";
export { createRetrieval, type RetrievalOptions } from "./retrieval/create-retrieval.js";
export { defaultRetrievalLimits, type RetrievalLimits } from "./retrieval/limits.js";
export type {
  CatalogueSpace,
  ClassifyQuestion,
  DoubtfulLabel,
  Duplicate,
  Example,
  FullRecord,
  LabelScore,
  LabelScores,
  ModelHit,
  ModelRecord,
  QueryHits,
  RecordSelection,
  RetrievalPort,
  RetrievalQuery,
  SkippedSpace,
  TruncatedExample,
  UnjudgedLabel,
  UnknownWords,
} from "./retrieval/retrieval-port.js";
export { type ClientOptions, connect, type ProbestreamClient } from "./rpc/client.js";
export type { ExpertInfo, ExpertList, LayerInfo } from "./rpc/convert/expert.js";
export type { ServerBackend, ServerInfo, ServerLimits, ServerMemory } from "./rpc/convert/server-info.js";
export { type RunningServer, type ServerOptions, type ServerTls, startServer } from "./rpc/server.js";
export {
  openTokenFile,
  type ReloadListener,
  type TokenFile,
  type TokenFileOptions,
} from "./rpc/tokens/open-token-file.js";
export type { TokenSet } from "./rpc/tokens/token-set.js";
export { version } from "./rpc/version.js";
export { type CalibrateOptions, calibrateExpert, writeTree } from "./search/calibrate-expert.js";
export { type BackendChoice, chooseBackends } from "./search/choose-backends.js";
export {
  type EmbedFilesOptions,
  embedFiles,
  type FileOutcome,
  type ModelLocations,
} from "./search/embed-files.js";
export type { EmbedProgress } from "./search/embed-files-progress.js";
export type {
  EmbedPort,
  ModelPlan,
  PlanRequest,
  PortAnswer,
  PortEmbedding,
  PortResult,
  PortStream,
} from "./search/embed-port.js";
export { type EmbedderOptions, startEmbedder } from "./search/embedder.js";
export { defaultLimits, type EmbedLimits } from "./search/limits.js";
export { createLocalPort } from "./search/local-port.js";
export type { ModelIndexer } from "./search/model-indexer.js";
export type { Embedder } from "./search/open-embedder.js";
export { createProbingPort, type ProbingPortOptions } from "./search/probing/create-probing-port.js";
export type { ProbingServer } from "./search/probing/probing-server.js";
export type { ProjectedModel, ProjectedTarget, ProjectionBatch } from "./search/probing/projected-model.js";
export { readTexts, type Texts } from "./search/read-texts.js";
export { type AskRoute, type RoutedFile, routeFile } from "./search/route-file.js";
export { type RouteAnswer, type RouteCandidate, type RouteRequest, routeModel } from "./search/route-model.js";
export type { UploadStore } from "./search/upload-store.js";
export { openDirectoryUploadStore } from "./search/upload-stores/directory.js";
export { createMemoryUploadStore } from "./search/upload-stores/memory.js";
export { encodeEach } from "./text/encode-each.js";
export type { EncodedText } from "./text/encoded-text.js";
export { openTextEncoder, type TextEncoderOptions } from "./text/open-text-encoder.js";
export { type StartTextEncoderOptions, startTextEncoder } from "./text/start-text-encoder.js";
export type { WorkerEncoderOptions } from "./text/start-worker-encoder.js";
export type { EncodedTexts, TextEncoder, TextVectors, TruncatedText, UnknownTextWords } from "./text/text-encoder.js";
export { type WordVectors, writeWordEncoder } from "./text/write-word-encoder.js";
export type { LayerRule } from "./training/datasets/describe-layer.js";
export { findLayers } from "./training/datasets/find-layers.js";
export { createMemoryLayerSet, type LayerSet, type Split } from "./training/datasets/layer-set.js";
export { type OpenedLayers, openPackedLayers } from "./training/datasets/open-packed-layers.js";
export { type PackedLayers, packLayers } from "./training/datasets/pack-layers.js";
export { readLabelFile } from "./training/datasets/read-label-file.js";
export { type Dataset, type DatasetModel, type ScanOptions, scanDataset } from "./training/datasets/scan-dataset.js";
export { type EvaluateOptions, type Evaluation, evaluateExpert } from "./training/evaluation/evaluate-expert.js";
export {
  type EpochReport,
  type FitOptions,
  type FittedExpert,
  fitExpert,
  type TrainData,
} from "./training/fit-expert.js";
export { type Report, toHtml } from "./training/report/to-html.js";
export { sweepLayers } from "./training/sweep-layers.js";
export { toParameters } from "./training/to-parameters.js";
export { type LabelTexts, type NamedTrainData, toEvaluationData, toTrainData } from "./training/to-train-data.js";
export { defaultTrainSettings, type TrainSettings } from "./training/train-settings.js";
export { type TrainShape, toParameterShapes } from "./training/train-shape.js";
export { writeExpert } from "./training/write-expert.js";
export type { Sketch, SketchRows, SketchShape } from "./trees/sketches/sketch.js";
export { openSketchKernel, type SketchKernel } from "./trees/sketches/sketch-kernel.js";
export type { Tree, TreeCentroid, TreeGaussian } from "./trees/tree.js";
export { readTree } from "./trees/tree-file.js";
export type { TreeMatch } from "./trees/tree-match.js";
export type { Comparison, Filter, Scalar } from "./vectors/filter.js";
export type { IndexFacts } from "./vectors/index-facts.js";
export { restoreSnapshot } from "./vectors/stores/lmdb/snapshot.js";
export { type LmdbStore, type LmdbStoreOptions, openLmdbStore } from "./vectors/stores/lmdb.js";
export { createMemoryStore } from "./vectors/stores/memory.js";
export { openPostgresStore, type PostgresStoreOptions } from "./vectors/stores/postgres/open-postgres-store.js";
export type { NewRecord, VectorRecord } from "./vectors/vector-record.js";
export type {
  CountedSpace,
  Hit,
  MetadataPatch,
  RecordRange,
  SpaceInfo,
  SpaceSpec,
  SpaceState,
  SpaceStatus,
  VectorQueries,
  VectorStore,
} from "./vectors/vector-store.js";
export { type FindModelsOptions, findModels } from "./weights/find-models.js";
export type { LayerSpec, SelectedTensor, TensorInfo, TensorRole } from "./weights/layer.js";
export { findLoraPairs } from "./weights/lora-pairs.js";
export type { ModelContent } from "./weights/model-content.js";
export { type ModelFile, type ModelOptions, openModel } from "./weights/model-file.js";
export { readTensors } from "./weights/safetensors-file.js";
export { parseSafetensorsHeader, readSafetensorsHeader } from "./weights/safetensors-header.js";
export { encodeSafetensors } from "./weights/safetensors-writer.js";
export { selectLayer } from "./weights/select-layer.js";
