from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

COMPARISON_EQ: Comparison
COMPARISON_GT: Comparison
COMPARISON_GTE: Comparison
COMPARISON_IN: Comparison
COMPARISON_LT: Comparison
COMPARISON_LTE: Comparison
COMPARISON_NE: Comparison
COMPARISON_UNSPECIFIED: Comparison
DESCRIPTOR: _descriptor.FileDescriptor
SPACE_STATE_FILLING: SpaceState
SPACE_STATE_RETIRED: SpaceState
SPACE_STATE_SERVING: SpaceState
SPACE_STATE_UNSPECIFIED: SpaceState

class DeleteModelsRequest(_message.Message):
    __slots__ = ["model_ids", "space"]
    MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    model_ids: _containers.RepeatedScalarFieldContainer[str]
    space: str
    def __init__(self, model_ids: _Optional[_Iterable[str]] = ..., space: _Optional[str] = ...) -> None: ...

class DeleteModelsResponse(_message.Message):
    __slots__ = ["deleted_count"]
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    def __init__(self, deleted_count: _Optional[int] = ...) -> None: ...

class DropSpaceRequest(_message.Message):
    __slots__ = ["space_id"]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    space_id: str
    def __init__(self, space_id: _Optional[str] = ...) -> None: ...

class DropSpaceResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ExportModelsRequest(_message.Message):
    __slots__ = ["filter", "space"]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    filter: Filter
    space: str
    def __init__(self, space: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ...) -> None: ...

class ExportModelsResponse(_message.Message):
    __slots__ = ["records"]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[ModelRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[ModelRecord, _Mapping]]] = ...) -> None: ...

class FieldCondition(_message.Message):
    __slots__ = ["comparison", "field", "values"]
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    comparison: Comparison
    field: str
    values: _containers.RepeatedCompositeFieldContainer[MetadataValue]
    def __init__(self, field: _Optional[str] = ..., comparison: _Optional[_Union[Comparison, str]] = ..., values: _Optional[_Iterable[_Union[MetadataValue, _Mapping]]] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ["condition", "exists"]
    AND_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    NOT_FIELD_NUMBER: _ClassVar[int]
    OR_FIELD_NUMBER: _ClassVar[int]
    condition: FieldCondition
    exists: str
    def __init__(self, exists: _Optional[str] = ..., condition: _Optional[_Union[FieldCondition, _Mapping]] = ..., **kwargs) -> None: ...

class FilterList(_message.Message):
    __slots__ = ["filters"]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    filters: _containers.RepeatedCompositeFieldContainer[Filter]
    def __init__(self, filters: _Optional[_Iterable[_Union[Filter, _Mapping]]] = ...) -> None: ...

class GetModelsRequest(_message.Message):
    __slots__ = ["model_ids", "spaces", "weights_hashes", "with_representations"]
    MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_HASHES_FIELD_NUMBER: _ClassVar[int]
    WITH_REPRESENTATIONS_FIELD_NUMBER: _ClassVar[int]
    model_ids: _containers.RepeatedScalarFieldContainer[str]
    spaces: _containers.RepeatedScalarFieldContainer[str]
    weights_hashes: _containers.RepeatedScalarFieldContainer[str]
    with_representations: bool
    def __init__(self, model_ids: _Optional[_Iterable[str]] = ..., weights_hashes: _Optional[_Iterable[str]] = ..., spaces: _Optional[_Iterable[str]] = ..., with_representations: bool = ...) -> None: ...

class GetModelsResponse(_message.Message):
    __slots__ = ["records"]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[ModelRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[ModelRecord, _Mapping]]] = ...) -> None: ...

class ImportModelsRequest(_message.Message):
    __slots__ = ["expert_name", "fill", "records", "space_id"]
    EXPERT_NAME_FIELD_NUMBER: _ClassVar[int]
    FILL_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    expert_name: str
    fill: bool
    records: _containers.RepeatedCompositeFieldContainer[ModelRecord]
    space_id: str
    def __init__(self, records: _Optional[_Iterable[_Union[ModelRecord, _Mapping]]] = ..., space_id: _Optional[str] = ..., expert_name: _Optional[str] = ..., fill: bool = ...) -> None: ...

class ImportModelsResponse(_message.Message):
    __slots__ = ["imported_count"]
    IMPORTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    imported_count: int
    def __init__(self, imported_count: _Optional[int] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ["filter", "page_size", "page_token", "space", "with_representations"]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    WITH_REPRESENTATIONS_FIELD_NUMBER: _ClassVar[int]
    filter: Filter
    page_size: int
    page_token: str
    space: str
    with_representations: bool
    def __init__(self, space: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., with_representations: bool = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ["next_page_token", "records"]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    next_page_token: str
    records: _containers.RepeatedCompositeFieldContainer[ModelRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[ModelRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListSpacesRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ListSpacesResponse(_message.Message):
    __slots__ = ["spaces", "store"]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    spaces: _containers.RepeatedCompositeFieldContainer[Space]
    store: str
    def __init__(self, spaces: _Optional[_Iterable[_Union[Space, _Mapping]]] = ..., store: _Optional[str] = ...) -> None: ...

class MetadataValue(_message.Message):
    __slots__ = ["number", "text", "truth"]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TRUTH_FIELD_NUMBER: _ClassVar[int]
    number: float
    text: str
    truth: bool
    def __init__(self, text: _Optional[str] = ..., number: _Optional[float] = ..., truth: bool = ...) -> None: ...

class ModelRecord(_message.Message):
    __slots__ = ["base", "claims", "created", "file_hash", "metadata", "model_id", "representation", "space_id", "tree", "updated", "weights_hash"]
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
        value: MetadataValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[MetadataValue, _Mapping]] = ...) -> None: ...
    BASE_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    FILE_HASH_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REPRESENTATION_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_HASH_FIELD_NUMBER: _ClassVar[int]
    base: str
    claims: _containers.ScalarMap[str, str]
    created: _timestamp_pb2.Timestamp
    file_hash: str
    metadata: _containers.MessageMap[str, MetadataValue]
    model_id: str
    representation: bytes
    space_id: str
    tree: str
    updated: _timestamp_pb2.Timestamp
    weights_hash: str
    def __init__(self, model_id: _Optional[str] = ..., space_id: _Optional[str] = ..., representation: _Optional[bytes] = ..., weights_hash: _Optional[str] = ..., file_hash: _Optional[str] = ..., tree: _Optional[str] = ..., base: _Optional[str] = ..., metadata: _Optional[_Mapping[str, MetadataValue]] = ..., claims: _Optional[_Mapping[str, str]] = ..., created: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., updated: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Space(_message.Message):
    __slots__ = ["calibrated", "expert_name", "expert_present", "fields", "model_count", "space_id", "state", "width"]
    CALIBRATED_FIELD_NUMBER: _ClassVar[int]
    EXPERT_NAME_FIELD_NUMBER: _ClassVar[int]
    EXPERT_PRESENT_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    calibrated: bool
    expert_name: str
    expert_present: bool
    fields: _containers.RepeatedScalarFieldContainer[str]
    model_count: int
    space_id: str
    state: SpaceState
    width: int
    def __init__(self, space_id: _Optional[str] = ..., expert_name: _Optional[str] = ..., width: _Optional[int] = ..., state: _Optional[_Union[SpaceState, str]] = ..., model_count: _Optional[int] = ..., fields: _Optional[_Iterable[str]] = ..., expert_present: bool = ..., calibrated: bool = ...) -> None: ...

class SwitchSpacesRequest(_message.Message):
    __slots__ = ["retire", "serve"]
    RETIRE_FIELD_NUMBER: _ClassVar[int]
    SERVE_FIELD_NUMBER: _ClassVar[int]
    retire: _containers.RepeatedScalarFieldContainer[str]
    serve: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, serve: _Optional[_Iterable[str]] = ..., retire: _Optional[_Iterable[str]] = ...) -> None: ...

class SwitchSpacesResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class UpdateModelRequest(_message.Message):
    __slots__ = ["model_id", "remove", "set"]
    class SetEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: MetadataValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[MetadataValue, _Mapping]] = ...) -> None: ...
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    remove: _containers.RepeatedScalarFieldContainer[str]
    set: _containers.MessageMap[str, MetadataValue]
    def __init__(self, model_id: _Optional[str] = ..., set: _Optional[_Mapping[str, MetadataValue]] = ..., remove: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateModelResponse(_message.Message):
    __slots__ = ["records"]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[ModelRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[ModelRecord, _Mapping]]] = ...) -> None: ...

class Comparison(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class SpaceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
