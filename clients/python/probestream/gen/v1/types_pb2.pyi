from probestream.gen.v1 import error_reason_pb2 as _error_reason_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
DTYPE_BF16: Dtype
DTYPE_F16: Dtype
DTYPE_F32: Dtype
DTYPE_F64: Dtype
DTYPE_F8_E4M3: Dtype
DTYPE_F8_E5M2: Dtype
DTYPE_UNSPECIFIED: Dtype
TENSOR_ROLE_LORA_ALPHA: TensorRole
TENSOR_ROLE_LORA_DOWN: TensorRole
TENSOR_ROLE_LORA_UP: TensorRole
TENSOR_ROLE_UNSPECIFIED: TensorRole
TENSOR_ROLE_WEIGHT: TensorRole
TENSOR_ROLE_WEIGHT_SCALE: TensorRole
TREE_BASIS_LAYER: TreeBasis
TREE_BASIS_MOMENTS: TreeBasis
TREE_BASIS_REPRESENTATION: TreeBasis
TREE_BASIS_UNSPECIFIED: TreeBasis

class EmbeddingTarget(_message.Message):
    __slots__ = ["sketch", "space_id", "uses"]
    SKETCH_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    sketch: str
    space_id: str
    uses: _containers.RepeatedCompositeFieldContainer[TensorUse]
    def __init__(self, space_id: _Optional[str] = ..., uses: _Optional[_Iterable[_Union[TensorUse, _Mapping]]] = ..., sketch: _Optional[str] = ...) -> None: ...

class FloatMatrix(_message.Message):
    __slots__ = ["columns", "data", "rows"]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    columns: int
    data: bytes
    rows: int
    def __init__(self, data: _Optional[bytes] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ...) -> None: ...

class Manifest(_message.Message):
    __slots__ = ["base_model_hint", "experts", "metadata", "model_id", "tensors", "tree_hint", "upload_id"]
    class MetadataEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    BASE_MODEL_HINT_FIELD_NUMBER: _ClassVar[int]
    EXPERTS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    TREE_HINT_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    base_model_hint: str
    experts: _containers.RepeatedScalarFieldContainer[str]
    metadata: _containers.ScalarMap[str, str]
    model_id: str
    tensors: _containers.RepeatedCompositeFieldContainer[TensorInfo]
    tree_hint: str
    upload_id: str
    def __init__(self, model_id: _Optional[str] = ..., tensors: _Optional[_Iterable[_Union[TensorInfo, _Mapping]]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., experts: _Optional[_Iterable[str]] = ..., upload_id: _Optional[str] = ..., base_model_hint: _Optional[str] = ..., tree_hint: _Optional[str] = ...) -> None: ...

class ModelError(_message.Message):
    __slots__ = ["code", "message", "metadata", "reason"]
    class MetadataEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    metadata: _containers.ScalarMap[str, str]
    reason: _error_reason_pb2.ErrorReason
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[_Union[_error_reason_pb2.ErrorReason, str]] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TensorInfo(_message.Message):
    __slots__ = ["dtype", "lora_scale", "name", "shape"]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    LORA_SCALE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    dtype: Dtype
    lora_scale: float
    name: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., dtype: _Optional[_Union[Dtype, str]] = ..., shape: _Optional[_Iterable[int]] = ..., lora_scale: _Optional[float] = ...) -> None: ...

class TensorRange(_message.Message):
    __slots__ = ["begin_byte", "end_byte", "tensor"]
    BEGIN_BYTE_FIELD_NUMBER: _ClassVar[int]
    END_BYTE_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    begin_byte: int
    end_byte: int
    tensor: TensorInfo
    def __init__(self, tensor: _Optional[_Union[TensorInfo, _Mapping]] = ..., begin_byte: _Optional[int] = ..., end_byte: _Optional[int] = ...) -> None: ...

class TensorUse(_message.Message):
    __slots__ = ["role", "tensor_index"]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TENSOR_INDEX_FIELD_NUMBER: _ClassVar[int]
    role: TensorRole
    tensor_index: int
    def __init__(self, role: _Optional[_Union[TensorRole, str]] = ..., tensor_index: _Optional[int] = ...) -> None: ...

class TreeMatch(_message.Message):
    __slots__ = ["accepted", "basis", "decided_bytes", "distance", "next_distance", "next_tree", "parent", "radius", "tree"]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_TREE_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    RADIUS_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    basis: TreeBasis
    decided_bytes: int
    distance: float
    next_distance: float
    next_tree: str
    parent: str
    radius: float
    tree: str
    def __init__(self, tree: _Optional[str] = ..., parent: _Optional[str] = ..., basis: _Optional[_Union[TreeBasis, str]] = ..., distance: _Optional[float] = ..., radius: _Optional[float] = ..., accepted: bool = ..., next_tree: _Optional[str] = ..., next_distance: _Optional[float] = ..., decided_bytes: _Optional[int] = ...) -> None: ...

class Dtype(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class TensorRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class TreeBasis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
