from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BackendInfo(_message.Message):
    __slots__ = ["available", "device", "gflops", "name", "relative_error", "unavailable_reason"]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    GFLOPS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_ERROR_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_REASON_FIELD_NUMBER: _ClassVar[int]
    available: bool
    device: str
    gflops: float
    name: str
    relative_error: float
    unavailable_reason: str
    def __init__(self, name: _Optional[str] = ..., device: _Optional[str] = ..., available: bool = ..., unavailable_reason: _Optional[str] = ..., gflops: _Optional[float] = ..., relative_error: _Optional[float] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ["backends", "limits", "memory_plan", "process_count", "store", "text_encoders", "version"]
    BACKENDS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PLAN_FIELD_NUMBER: _ClassVar[int]
    PROCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    TEXT_ENCODERS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    backends: _containers.RepeatedCompositeFieldContainer[BackendInfo]
    limits: Limits
    memory_plan: MemoryPlan
    process_count: int
    store: str
    text_encoders: _containers.RepeatedScalarFieldContainer[str]
    version: str
    def __init__(self, version: _Optional[str] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., memory_plan: _Optional[_Union[MemoryPlan, _Mapping]] = ..., backends: _Optional[_Iterable[_Union[BackendInfo, _Mapping]]] = ..., process_count: _Optional[int] = ..., store: _Optional[str] = ..., text_encoders: _Optional[_Iterable[str]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ["best_chunk_bytes", "max_answer_bytes", "max_chunk_bytes", "max_claim_bytes", "max_discard_bytes", "max_labels", "max_manifest_tensors", "max_message_bytes", "max_metadata_bytes", "max_plan_models", "max_queries", "max_stream_models", "max_text_vectors", "segment_bytes", "stream_idle_timeout", "upload_expiry"]
    BEST_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_ANSWER_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CLAIM_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_DISCARD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_LABELS_FIELD_NUMBER: _ClassVar[int]
    MAX_MANIFEST_TENSORS_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_METADATA_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PLAN_MODELS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUERIES_FIELD_NUMBER: _ClassVar[int]
    MAX_STREAM_MODELS_FIELD_NUMBER: _ClassVar[int]
    MAX_TEXT_VECTORS_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    STREAM_IDLE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_EXPIRY_FIELD_NUMBER: _ClassVar[int]
    best_chunk_bytes: int
    max_answer_bytes: int
    max_chunk_bytes: int
    max_claim_bytes: int
    max_discard_bytes: int
    max_labels: int
    max_manifest_tensors: int
    max_message_bytes: int
    max_metadata_bytes: int
    max_plan_models: int
    max_queries: int
    max_stream_models: int
    max_text_vectors: int
    segment_bytes: int
    stream_idle_timeout: _duration_pb2.Duration
    upload_expiry: _duration_pb2.Duration
    def __init__(self, max_chunk_bytes: _Optional[int] = ..., best_chunk_bytes: _Optional[int] = ..., max_plan_models: _Optional[int] = ..., max_manifest_tensors: _Optional[int] = ..., max_stream_models: _Optional[int] = ..., max_text_vectors: _Optional[int] = ..., max_discard_bytes: _Optional[int] = ..., stream_idle_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., upload_expiry: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., segment_bytes: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_answer_bytes: _Optional[int] = ..., max_queries: _Optional[int] = ..., max_labels: _Optional[int] = ..., max_claim_bytes: _Optional[int] = ..., max_metadata_bytes: _Optional[int] = ...) -> None: ...

class MemoryPlan(_message.Message):
    __slots__ = ["blocks_bytes", "budget_bytes", "connection_bytes", "expert_bytes", "messages_bytes", "open_streams", "receive_window_bytes", "reserved_bytes", "runtime_bytes", "stream_bytes", "upload_state_bytes", "worker_count"]
    BLOCKS_BYTES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_BYTES_FIELD_NUMBER: _ClassVar[int]
    EXPERT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_BYTES_FIELD_NUMBER: _ClassVar[int]
    OPEN_STREAMS_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_WINDOW_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_BYTES_FIELD_NUMBER: _ClassVar[int]
    STREAM_BYTES_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_STATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WORKER_COUNT_FIELD_NUMBER: _ClassVar[int]
    blocks_bytes: int
    budget_bytes: int
    connection_bytes: int
    expert_bytes: int
    messages_bytes: int
    open_streams: int
    receive_window_bytes: int
    reserved_bytes: int
    runtime_bytes: int
    stream_bytes: int
    upload_state_bytes: int
    worker_count: int
    def __init__(self, budget_bytes: _Optional[int] = ..., reserved_bytes: _Optional[int] = ..., expert_bytes: _Optional[int] = ..., stream_bytes: _Optional[int] = ..., receive_window_bytes: _Optional[int] = ..., messages_bytes: _Optional[int] = ..., blocks_bytes: _Optional[int] = ..., open_streams: _Optional[int] = ..., upload_state_bytes: _Optional[int] = ..., worker_count: _Optional[int] = ..., runtime_bytes: _Optional[int] = ..., connection_bytes: _Optional[int] = ...) -> None: ...
