from google.protobuf import duration_pb2 as _duration_pb2
from probestream.gen.v1 import catalogue_service_pb2 as _catalogue_service_pb2
from probestream.gen.v1 import expert_service_pb2 as _expert_service_pb2
from probestream.gen.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackendUse(_message.Message):
    __slots__ = ["device", "name", "rows"]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    device: str
    name: str
    rows: int
    def __init__(self, name: _Optional[str] = ..., device: _Optional[str] = ..., rows: _Optional[int] = ...) -> None: ...

class EmbedModelChunk(_message.Message):
    __slots__ = ["data", "offset", "tensor_index"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TENSOR_INDEX_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    offset: int
    tensor_index: int
    def __init__(self, tensor_index: _Optional[int] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class EmbedModelFooter(_message.Message):
    __slots__ = ["digest", "total_bytes"]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    total_bytes: int
    def __init__(self, total_bytes: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class EmbedModelHeader(_message.Message):
    __slots__ = ["index", "model_id", "routed", "space_ids", "start_offsets", "tensors", "text_vectors", "upload_id"]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTED_FIELD_NUMBER: _ClassVar[int]
    SPACE_IDS_FIELD_NUMBER: _ClassVar[int]
    START_OFFSETS_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    TEXT_VECTORS_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    index: IndexRequest
    model_id: str
    routed: bool
    space_ids: _containers.RepeatedScalarFieldContainer[str]
    start_offsets: _containers.RepeatedScalarFieldContainer[int]
    tensors: _containers.RepeatedCompositeFieldContainer[_types_pb2.TensorRange]
    text_vectors: _types_pb2.FloatMatrix
    upload_id: str
    def __init__(self, model_id: _Optional[str] = ..., upload_id: _Optional[str] = ..., tensors: _Optional[_Iterable[_Union[_types_pb2.TensorRange, _Mapping]]] = ..., space_ids: _Optional[_Iterable[str]] = ..., start_offsets: _Optional[_Iterable[int]] = ..., text_vectors: _Optional[_Union[_types_pb2.FloatMatrix, _Mapping]] = ..., routed: bool = ..., index: _Optional[_Union[IndexRequest, _Mapping]] = ...) -> None: ...

class EmbedModelRequest(_message.Message):
    __slots__ = ["chunk", "footer", "header"]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    FOOTER_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    chunk: EmbedModelChunk
    footer: EmbedModelFooter
    header: EmbedModelHeader
    def __init__(self, header: _Optional[_Union[EmbedModelHeader, _Mapping]] = ..., chunk: _Optional[_Union[EmbedModelChunk, _Mapping]] = ..., footer: _Optional[_Union[EmbedModelFooter, _Mapping]] = ...) -> None: ...

class EmbedModelResponse(_message.Message):
    __slots__ = ["results", "stopped_early"]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    STOPPED_EARLY_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ModelResult]
    stopped_early: bool
    def __init__(self, results: _Optional[_Iterable[_Union[ModelResult, _Mapping]]] = ..., stopped_early: bool = ...) -> None: ...

class EmbedProjectionRequest(_message.Message):
    __slots__ = ["models", "text_vectors"]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TEXT_VECTORS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ProjectedModel]
    text_vectors: _types_pb2.FloatMatrix
    def __init__(self, models: _Optional[_Iterable[_Union[ProjectedModel, _Mapping]]] = ..., text_vectors: _Optional[_Union[_types_pb2.FloatMatrix, _Mapping]] = ...) -> None: ...

class EmbedProjectionResponse(_message.Message):
    __slots__ = ["results", "stopped_early"]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    STOPPED_EARLY_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ModelResult]
    stopped_early: bool
    def __init__(self, results: _Optional[_Iterable[_Union[ModelResult, _Mapping]]] = ..., stopped_early: bool = ...) -> None: ...

class ExpertEmbedding(_message.Message):
    __slots__ = ["expert_name", "label_logits", "label_probabilities", "labels", "representation", "space_id", "text_cosines", "tree"]
    EXPERT_NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LABEL_LOGITS_FIELD_NUMBER: _ClassVar[int]
    LABEL_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    REPRESENTATION_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_COSINES_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    expert_name: str
    label_logits: bytes
    label_probabilities: bytes
    labels: _containers.RepeatedScalarFieldContainer[str]
    representation: bytes
    space_id: str
    text_cosines: bytes
    tree: _types_pb2.TreeMatch
    def __init__(self, space_id: _Optional[str] = ..., expert_name: _Optional[str] = ..., representation: _Optional[bytes] = ..., text_cosines: _Optional[bytes] = ..., label_logits: _Optional[bytes] = ..., label_probabilities: _Optional[bytes] = ..., labels: _Optional[_Iterable[str]] = ..., tree: _Optional[_Union[_types_pb2.TreeMatch, _Mapping]] = ...) -> None: ...

class ExpertProbes(_message.Message):
    __slots__ = ["accumulator", "expert_name", "layer", "layer_columns", "layer_rows", "sha256", "space_id", "tensors"]
    ACCUMULATOR_FIELD_NUMBER: _ClassVar[int]
    EXPERT_NAME_FIELD_NUMBER: _ClassVar[int]
    LAYER_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    LAYER_ROWS_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    accumulator: str
    expert_name: str
    layer: _expert_service_pb2.ExpertLayer
    layer_columns: int
    layer_rows: int
    sha256: bytes
    space_id: str
    tensors: _containers.RepeatedCompositeFieldContainer[ProbeTensor]
    def __init__(self, space_id: _Optional[str] = ..., expert_name: _Optional[str] = ..., accumulator: _Optional[str] = ..., layer: _Optional[_Union[_expert_service_pb2.ExpertLayer, _Mapping]] = ..., layer_rows: _Optional[int] = ..., layer_columns: _Optional[int] = ..., tensors: _Optional[_Iterable[_Union[ProbeTensor, _Mapping]]] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class GetProbesRequest(_message.Message):
    __slots__ = ["space_ids"]
    SPACE_IDS_FIELD_NUMBER: _ClassVar[int]
    space_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, space_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetProbesResponse(_message.Message):
    __slots__ = ["chunk", "expert"]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    EXPERT_FIELD_NUMBER: _ClassVar[int]
    chunk: ProbesChunk
    expert: ExpertProbes
    def __init__(self, expert: _Optional[_Union[ExpertProbes, _Mapping]] = ..., chunk: _Optional[_Union[ProbesChunk, _Mapping]] = ...) -> None: ...

class IndexRequest(_message.Message):
    __slots__ = ["base", "claims", "file_hash", "fill", "metadata", "model_id"]
    class ClaimsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class MetadataEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _catalogue_service_pb2.MetadataValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_catalogue_service_pb2.MetadataValue, _Mapping]] = ...) -> None: ...
    BASE_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    FILE_HASH_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    base: str
    claims: _containers.ScalarMap[str, str]
    file_hash: str
    fill: bool
    metadata: _containers.MessageMap[str, _catalogue_service_pb2.MetadataValue]
    model_id: str
    def __init__(self, model_id: _Optional[str] = ..., metadata: _Optional[_Mapping[str, _catalogue_service_pb2.MetadataValue]] = ..., claims: _Optional[_Mapping[str, str]] = ..., file_hash: _Optional[str] = ..., base: _Optional[str] = ..., fill: bool = ...) -> None: ...

class ModelEmbedding(_message.Message):
    __slots__ = ["backends", "bytes_received", "bytes_total", "embeddings", "indexed_id", "rows_projected", "timings", "weights_hash"]
    BACKENDS_FIELD_NUMBER: _ClassVar[int]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    INDEXED_ID_FIELD_NUMBER: _ClassVar[int]
    ROWS_PROJECTED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_HASH_FIELD_NUMBER: _ClassVar[int]
    backends: _containers.RepeatedCompositeFieldContainer[BackendUse]
    bytes_received: int
    bytes_total: int
    embeddings: _containers.RepeatedCompositeFieldContainer[ExpertEmbedding]
    indexed_id: str
    rows_projected: int
    timings: Timings
    weights_hash: str
    def __init__(self, embeddings: _Optional[_Iterable[_Union[ExpertEmbedding, _Mapping]]] = ..., bytes_received: _Optional[int] = ..., bytes_total: _Optional[int] = ..., rows_projected: _Optional[int] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., backends: _Optional[_Iterable[_Union[BackendUse, _Mapping]]] = ..., weights_hash: _Optional[str] = ..., indexed_id: _Optional[str] = ...) -> None: ...

class ModelPlan(_message.Message):
    __slots__ = ["error", "model_id", "planned"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PLANNED_FIELD_NUMBER: _ClassVar[int]
    error: _types_pb2.ModelError
    model_id: str
    planned: PlannedModel
    def __init__(self, model_id: _Optional[str] = ..., planned: _Optional[_Union[PlannedModel, _Mapping]] = ..., error: _Optional[_Union[_types_pb2.ModelError, _Mapping]] = ...) -> None: ...

class ModelResult(_message.Message):
    __slots__ = ["embedding", "error", "model_id", "upload_id"]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    embedding: ModelEmbedding
    error: _types_pb2.ModelError
    model_id: str
    upload_id: str
    def __init__(self, model_id: _Optional[str] = ..., upload_id: _Optional[str] = ..., embedding: _Optional[_Union[ModelEmbedding, _Mapping]] = ..., error: _Optional[_Union[_types_pb2.ModelError, _Mapping]] = ...) -> None: ...

class NamedTensor(_message.Message):
    __slots__ = ["data", "name", "shape"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    name: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class PlanEmbeddingRequest(_message.Message):
    __slots__ = ["manifests"]
    MANIFESTS_FIELD_NUMBER: _ClassVar[int]
    manifests: _containers.RepeatedCompositeFieldContainer[_types_pb2.Manifest]
    def __init__(self, manifests: _Optional[_Iterable[_Union[_types_pb2.Manifest, _Mapping]]] = ...) -> None: ...

class PlanEmbeddingResponse(_message.Message):
    __slots__ = ["plans"]
    PLANS_FIELD_NUMBER: _ClassVar[int]
    plans: _containers.RepeatedCompositeFieldContainer[ModelPlan]
    def __init__(self, plans: _Optional[_Iterable[_Union[ModelPlan, _Mapping]]] = ...) -> None: ...

class PlannedModel(_message.Message):
    __slots__ = ["accepted_dtypes", "chunk_bytes", "routed", "starts", "targets", "tensors", "upload_id"]
    ACCEPTED_DTYPES_FIELD_NUMBER: _ClassVar[int]
    CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    ROUTED_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    accepted_dtypes: _containers.RepeatedScalarFieldContainer[_types_pb2.Dtype]
    chunk_bytes: int
    routed: bool
    starts: _containers.RepeatedCompositeFieldContainer[TensorStart]
    targets: _containers.RepeatedCompositeFieldContainer[_types_pb2.EmbeddingTarget]
    tensors: _containers.RepeatedCompositeFieldContainer[_types_pb2.TensorRange]
    upload_id: str
    def __init__(self, tensors: _Optional[_Iterable[_Union[_types_pb2.TensorRange, _Mapping]]] = ..., targets: _Optional[_Iterable[_Union[_types_pb2.EmbeddingTarget, _Mapping]]] = ..., accepted_dtypes: _Optional[_Iterable[_Union[_types_pb2.Dtype, str]]] = ..., chunk_bytes: _Optional[int] = ..., upload_id: _Optional[str] = ..., starts: _Optional[_Iterable[_Union[TensorStart, _Mapping]]] = ..., routed: bool = ...) -> None: ...

class ProbeTensor(_message.Message):
    __slots__ = ["name", "shape"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ...) -> None: ...

class ProbesChunk(_message.Message):
    __slots__ = ["data"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class ProjectedModel(_message.Message):
    __slots__ = ["index", "model_id", "routed", "sketches", "targets", "tensors", "weights_digest"]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    ROUTED_FIELD_NUMBER: _ClassVar[int]
    SKETCHES_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    index: IndexRequest
    model_id: str
    routed: bool
    sketches: _containers.RepeatedCompositeFieldContainer[NamedTensor]
    targets: _containers.RepeatedCompositeFieldContainer[ProjectionTarget]
    tensors: _containers.RepeatedCompositeFieldContainer[_types_pb2.TensorRange]
    weights_digest: bytes
    def __init__(self, model_id: _Optional[str] = ..., tensors: _Optional[_Iterable[_Union[_types_pb2.TensorRange, _Mapping]]] = ..., targets: _Optional[_Iterable[_Union[ProjectionTarget, _Mapping]]] = ..., routed: bool = ..., sketches: _Optional[_Iterable[_Union[NamedTensor, _Mapping]]] = ..., weights_digest: _Optional[bytes] = ..., index: _Optional[_Union[IndexRequest, _Mapping]] = ...) -> None: ...

class ProjectionTarget(_message.Message):
    __slots__ = ["accumulator", "sketch", "space_id", "state"]
    ACCUMULATOR_FIELD_NUMBER: _ClassVar[int]
    SKETCH_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    accumulator: str
    sketch: int
    space_id: str
    state: _containers.RepeatedCompositeFieldContainer[NamedTensor]
    def __init__(self, space_id: _Optional[str] = ..., accumulator: _Optional[str] = ..., state: _Optional[_Iterable[_Union[NamedTensor, _Mapping]]] = ..., sketch: _Optional[int] = ...) -> None: ...

class TensorStart(_message.Message):
    __slots__ = ["offset", "segment_digests"]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    offset: int
    segment_digests: bytes
    def __init__(self, offset: _Optional[int] = ..., segment_digests: _Optional[bytes] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ["digest", "head", "project", "receive", "total", "wait"]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    digest: _duration_pb2.Duration
    head: _duration_pb2.Duration
    project: _duration_pb2.Duration
    receive: _duration_pb2.Duration
    total: _duration_pb2.Duration
    wait: _duration_pb2.Duration
    def __init__(self, total: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., receive: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., digest: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., project: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., head: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...
