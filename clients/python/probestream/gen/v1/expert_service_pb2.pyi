from probestream.gen.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
LAYER_KIND_DENSE: LayerKind
LAYER_KIND_LORA: LayerKind
LAYER_KIND_UNSPECIFIED: LayerKind
LAYER_LAYOUT_CONV: LayerLayout
LAYER_LAYOUT_LINEAR: LayerLayout
LAYER_LAYOUT_TRANSPOSED: LayerLayout
LAYER_LAYOUT_UNSPECIFIED: LayerLayout
LAYER_LAYOUT_VECTOR: LayerLayout
LORA_SCALE_APPLY: LoraScale
LORA_SCALE_NONE: LoraScale
LORA_SCALE_UNSPECIFIED: LoraScale
OBJECTIVE_CLASSIFICATION: Objective
OBJECTIVE_UNSPECIFIED: Objective
OBJECTIVE_ZEROSHOT: Objective
ROUTE_DECISION_NO_EXPERT: RouteDecision
ROUTE_DECISION_ROUTED: RouteDecision
ROUTE_DECISION_UNDECIDED: RouteDecision
ROUTE_DECISION_UNSPECIFIED: RouteDecision

class Expert(_message.Message):
    __slots__ = ["labels", "layer", "layer_columns", "layer_rows", "name", "objective", "probex", "prompt", "representation_width", "resident_bytes", "space_id", "text_encoder", "text_width", "tree"]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LAYER_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    LAYER_ROWS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    PROBEX_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    REPRESENTATION_WIDTH_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_ENCODER_FIELD_NUMBER: _ClassVar[int]
    TEXT_WIDTH_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    layer: ExpertLayer
    layer_columns: int
    layer_rows: int
    name: str
    objective: Objective
    probex: ProbexArchitecture
    prompt: str
    representation_width: int
    resident_bytes: int
    space_id: str
    text_encoder: str
    text_width: int
    tree: ExpertTree
    def __init__(self, space_id: _Optional[str] = ..., name: _Optional[str] = ..., objective: _Optional[_Union[Objective, str]] = ..., layer: _Optional[_Union[ExpertLayer, _Mapping]] = ..., layer_rows: _Optional[int] = ..., layer_columns: _Optional[int] = ..., probex: _Optional[_Union[ProbexArchitecture, _Mapping]] = ..., representation_width: _Optional[int] = ..., text_width: _Optional[int] = ..., text_encoder: _Optional[str] = ..., prompt: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., resident_bytes: _Optional[int] = ..., tree: _Optional[_Union[ExpertTree, _Mapping]] = ...) -> None: ...

class ExpertLayer(_message.Message):
    __slots__ = ["kind", "layout", "lora_scale", "module", "row_begin", "row_end"]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    LORA_SCALE_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    ROW_BEGIN_FIELD_NUMBER: _ClassVar[int]
    ROW_END_FIELD_NUMBER: _ClassVar[int]
    kind: LayerKind
    layout: LayerLayout
    lora_scale: LoraScale
    module: str
    row_begin: int
    row_end: int
    def __init__(self, module: _Optional[str] = ..., kind: _Optional[_Union[LayerKind, str]] = ..., layout: _Optional[_Union[LayerLayout, str]] = ..., row_begin: _Optional[int] = ..., row_end: _Optional[int] = ..., lora_scale: _Optional[_Union[LoraScale, str]] = ...) -> None: ...

class ExpertTree(_message.Message):
    __slots__ = ["name", "parent"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    parent: str
    def __init__(self, name: _Optional[str] = ..., parent: _Optional[str] = ...) -> None: ...

class GetExpertRequest(_message.Message):
    __slots__ = ["expert"]
    EXPERT_FIELD_NUMBER: _ClassVar[int]
    expert: str
    def __init__(self, expert: _Optional[str] = ...) -> None: ...

class GetExpertResponse(_message.Message):
    __slots__ = ["expert"]
    EXPERT_FIELD_NUMBER: _ClassVar[int]
    expert: Expert
    def __init__(self, expert: _Optional[_Union[Expert, _Mapping]] = ...) -> None: ...

class ListExpertsRequest(_message.Message):
    __slots__ = ["page_size", "page_token"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListExpertsResponse(_message.Message):
    __slots__ = ["experts", "next_page_token", "unusable"]
    EXPERTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNUSABLE_FIELD_NUMBER: _ClassVar[int]
    experts: _containers.RepeatedCompositeFieldContainer[Expert]
    next_page_token: str
    unusable: _containers.RepeatedCompositeFieldContainer[UnusableExpert]
    def __init__(self, experts: _Optional[_Iterable[_Union[Expert, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unusable: _Optional[_Iterable[_Union[UnusableExpert, _Mapping]]] = ...) -> None: ...

class ProbexArchitecture(_message.Message):
    __slots__ = ["probe_count", "projection_width"]
    PROBE_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROJECTION_WIDTH_FIELD_NUMBER: _ClassVar[int]
    probe_count: int
    projection_width: int
    def __init__(self, probe_count: _Optional[int] = ..., projection_width: _Optional[int] = ...) -> None: ...

class RouteCandidate(_message.Message):
    __slots__ = ["claimed", "expert_name", "possible", "space_id", "tree"]
    CLAIMED_FIELD_NUMBER: _ClassVar[int]
    EXPERT_NAME_FIELD_NUMBER: _ClassVar[int]
    POSSIBLE_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    claimed: bool
    expert_name: str
    possible: bool
    space_id: str
    tree: _types_pb2.TreeMatch
    def __init__(self, space_id: _Optional[str] = ..., expert_name: _Optional[str] = ..., tree: _Optional[_Union[_types_pb2.TreeMatch, _Mapping]] = ..., possible: bool = ..., claimed: bool = ...) -> None: ...

class RouteModelRequest(_message.Message):
    __slots__ = ["manifest", "prefixes"]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    manifest: _types_pb2.Manifest
    prefixes: _containers.RepeatedCompositeFieldContainer[TensorPrefix]
    def __init__(self, manifest: _Optional[_Union[_types_pb2.Manifest, _Mapping]] = ..., prefixes: _Optional[_Iterable[_Union[TensorPrefix, _Mapping]]] = ...) -> None: ...

class RouteModelResponse(_message.Message):
    __slots__ = ["candidates", "decision", "prefix_bytes", "tensors"]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    PREFIX_BYTES_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    candidates: _containers.RepeatedCompositeFieldContainer[RouteCandidate]
    decision: RouteDecision
    prefix_bytes: int
    tensors: _containers.RepeatedCompositeFieldContainer[_types_pb2.TensorRange]
    def __init__(self, decision: _Optional[_Union[RouteDecision, str]] = ..., candidates: _Optional[_Iterable[_Union[RouteCandidate, _Mapping]]] = ..., tensors: _Optional[_Iterable[_Union[_types_pb2.TensorRange, _Mapping]]] = ..., prefix_bytes: _Optional[int] = ...) -> None: ...

class TensorPrefix(_message.Message):
    __slots__ = ["data", "tensor"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    tensor: str
    def __init__(self, tensor: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class UnusableExpert(_message.Message):
    __slots__ = ["error", "name"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    error: _types_pb2.ModelError
    name: str
    def __init__(self, name: _Optional[str] = ..., error: _Optional[_Union[_types_pb2.ModelError, _Mapping]] = ...) -> None: ...

class RouteDecision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class Objective(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class LayerKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class LayerLayout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class LoraScale(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
