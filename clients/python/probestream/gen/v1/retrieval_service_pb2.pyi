from probestream.gen.v1 import catalogue_service_pb2 as _catalogue_service_pb2
from probestream.gen.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

CLASSIFY_MODE_ANY_OF_MANY: ClassifyMode
CLASSIFY_MODE_ONE_OF_MANY: ClassifyMode
CLASSIFY_MODE_UNSPECIFIED: ClassifyMode
DESCRIPTOR: _descriptor.FileDescriptor

class BatchRetrieveRequest(_message.Message):
    __slots__ = ["queries", "with_records"]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    WITH_RECORDS_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[RetrievalQuery]
    with_records: bool
    def __init__(self, queries: _Optional[_Iterable[_Union[RetrievalQuery, _Mapping]]] = ..., with_records: bool = ...) -> None: ...

class BatchRetrieveResponse(_message.Message):
    __slots__ = ["answers"]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[QueryAnswer]
    def __init__(self, answers: _Optional[_Iterable[_Union[QueryAnswer, _Mapping]]] = ...) -> None: ...

class ClassifyAnswer(_message.Message):
    __slots__ = ["error", "scores"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    error: _types_pb2.ModelError
    scores: LabelScores
    def __init__(self, scores: _Optional[_Union[LabelScores, _Mapping]] = ..., error: _Optional[_Union[_types_pb2.ModelError, _Mapping]] = ...) -> None: ...

class ClassifyRequest(_message.Message):
    __slots__ = ["experts", "labels", "mode", "models", "top"]
    EXPERTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    experts: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.RepeatedScalarFieldContainer[str]
    mode: ClassifyMode
    models: _containers.RepeatedCompositeFieldContainer[Example]
    top: int
    def __init__(self, models: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., labels: _Optional[_Iterable[str]] = ..., experts: _Optional[_Iterable[str]] = ..., mode: _Optional[_Union[ClassifyMode, str]] = ..., top: _Optional[int] = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ["answers", "doubtful", "unjudged"]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    DOUBTFUL_FIELD_NUMBER: _ClassVar[int]
    UNJUDGED_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[ClassifyAnswer]
    doubtful: _containers.RepeatedCompositeFieldContainer[DoubtfulLabel]
    unjudged: _containers.RepeatedCompositeFieldContainer[UnjudgedLabel]
    def __init__(self, answers: _Optional[_Iterable[_Union[ClassifyAnswer, _Mapping]]] = ..., unjudged: _Optional[_Iterable[_Union[UnjudgedLabel, _Mapping]]] = ..., doubtful: _Optional[_Iterable[_Union[DoubtfulLabel, _Mapping]]] = ...) -> None: ...

class DoubtfulLabel(_message.Message):
    __slots__ = ["label", "space_id", "unfamiliar", "unknown_words"]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    UNFAMILIAR_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_WORDS_FIELD_NUMBER: _ClassVar[int]
    label: str
    space_id: str
    unfamiliar: bool
    unknown_words: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, space_id: _Optional[str] = ..., label: _Optional[str] = ..., unknown_words: _Optional[_Iterable[str]] = ..., unfamiliar: bool = ...) -> None: ...

class Duplicate(_message.Message):
    __slots__ = ["cosine", "model_id", "same_weights", "space_id"]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    SAME_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    cosine: float
    model_id: str
    same_weights: bool
    space_id: str
    def __init__(self, model_id: _Optional[str] = ..., space_id: _Optional[str] = ..., cosine: _Optional[float] = ..., same_weights: bool = ...) -> None: ...

class Duplicates(_message.Message):
    __slots__ = ["duplicates"]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    duplicates: _containers.RepeatedCompositeFieldContainer[Duplicate]
    def __init__(self, duplicates: _Optional[_Iterable[_Union[Duplicate, _Mapping]]] = ...) -> None: ...

class DuplicatesAnswer(_message.Message):
    __slots__ = ["duplicates", "error"]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    duplicates: Duplicates
    error: _types_pb2.ModelError
    def __init__(self, duplicates: _Optional[_Union[Duplicates, _Mapping]] = ..., error: _Optional[_Union[_types_pb2.ModelError, _Mapping]] = ...) -> None: ...

class Example(_message.Message):
    __slots__ = ["model_id", "representation", "text"]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    REPRESENTATION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    representation: Representation
    text: str
    def __init__(self, text: _Optional[str] = ..., model_id: _Optional[str] = ..., representation: _Optional[_Union[Representation, _Mapping]] = ...) -> None: ...

class FindDuplicatesRequest(_message.Message):
    __slots__ = ["experts", "k", "min_cosine", "model_ids"]
    EXPERTS_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    MIN_COSINE_FIELD_NUMBER: _ClassVar[int]
    MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    experts: _containers.RepeatedScalarFieldContainer[str]
    k: int
    min_cosine: float
    model_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model_ids: _Optional[_Iterable[str]] = ..., min_cosine: _Optional[float] = ..., k: _Optional[int] = ..., experts: _Optional[_Iterable[str]] = ...) -> None: ...

class FindDuplicatesResponse(_message.Message):
    __slots__ = ["answers"]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[DuplicatesAnswer]
    def __init__(self, answers: _Optional[_Iterable[_Union[DuplicatesAnswer, _Mapping]]] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ["cosine", "model_id", "record", "score", "space_id"]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    cosine: float
    model_id: str
    record: _catalogue_service_pb2.ModelRecord
    score: float
    space_id: str
    def __init__(self, model_id: _Optional[str] = ..., space_id: _Optional[str] = ..., cosine: _Optional[float] = ..., score: _Optional[float] = ..., record: _Optional[_Union[_catalogue_service_pb2.ModelRecord, _Mapping]] = ...) -> None: ...

class LabelScore(_message.Message):
    __slots__ = ["cosine", "label", "probability"]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    cosine: float
    label: str
    probability: float
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ..., cosine: _Optional[float] = ...) -> None: ...

class LabelScores(_message.Message):
    __slots__ = ["calibrated", "labels", "space_id"]
    CALIBRATED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    calibrated: bool
    labels: _containers.RepeatedCompositeFieldContainer[LabelScore]
    space_id: str
    def __init__(self, space_id: _Optional[str] = ..., labels: _Optional[_Iterable[_Union[LabelScore, _Mapping]]] = ..., calibrated: bool = ...) -> None: ...

class QueryAnswer(_message.Message):
    __slots__ = ["error", "hits"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    error: _types_pb2.ModelError
    hits: QueryHits
    def __init__(self, hits: _Optional[_Union[QueryHits, _Mapping]] = ..., error: _Optional[_Union[_types_pb2.ModelError, _Mapping]] = ...) -> None: ...

class QueryHits(_message.Message):
    __slots__ = ["hits", "skipped", "truncated", "unknown_words"]
    HITS_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_WORDS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    skipped: _containers.RepeatedCompositeFieldContainer[SkippedSpace]
    truncated: _containers.RepeatedCompositeFieldContainer[TruncatedExample]
    unknown_words: _containers.RepeatedCompositeFieldContainer[UnknownWords]
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., skipped: _Optional[_Iterable[_Union[SkippedSpace, _Mapping]]] = ..., truncated: _Optional[_Iterable[_Union[TruncatedExample, _Mapping]]] = ..., unknown_words: _Optional[_Iterable[_Union[UnknownWords, _Mapping]]] = ...) -> None: ...

class Representation(_message.Message):
    __slots__ = ["space_id", "values"]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    space_id: str
    values: bytes
    def __init__(self, space_id: _Optional[str] = ..., values: _Optional[bytes] = ...) -> None: ...

class RetrievalQuery(_message.Message):
    __slots__ = ["exact", "experts", "filter", "k", "max_per_base", "min_cosine", "min_score", "negatives", "positives", "trees"]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    EXPERTS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_BASE_FIELD_NUMBER: _ClassVar[int]
    MIN_COSINE_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVES_FIELD_NUMBER: _ClassVar[int]
    POSITIVES_FIELD_NUMBER: _ClassVar[int]
    TREES_FIELD_NUMBER: _ClassVar[int]
    exact: bool
    experts: _containers.RepeatedScalarFieldContainer[str]
    filter: _catalogue_service_pb2.Filter
    k: int
    max_per_base: int
    min_cosine: float
    min_score: float
    negatives: _containers.RepeatedCompositeFieldContainer[Example]
    positives: _containers.RepeatedCompositeFieldContainer[Example]
    trees: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, positives: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., negatives: _Optional[_Iterable[_Union[Example, _Mapping]]] = ..., k: _Optional[int] = ..., filter: _Optional[_Union[_catalogue_service_pb2.Filter, _Mapping]] = ..., experts: _Optional[_Iterable[str]] = ..., trees: _Optional[_Iterable[str]] = ..., min_score: _Optional[float] = ..., min_cosine: _Optional[float] = ..., max_per_base: _Optional[int] = ..., exact: bool = ...) -> None: ...

class SkippedSpace(_message.Message):
    __slots__ = ["error", "expert_name", "space_id"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    EXPERT_NAME_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    error: _types_pb2.ModelError
    expert_name: str
    space_id: str
    def __init__(self, space_id: _Optional[str] = ..., expert_name: _Optional[str] = ..., error: _Optional[_Union[_types_pb2.ModelError, _Mapping]] = ...) -> None: ...

class TruncatedExample(_message.Message):
    __slots__ = ["example", "max_tokens", "space_id", "token_count"]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    example: int
    max_tokens: int
    space_id: str
    token_count: int
    def __init__(self, example: _Optional[int] = ..., space_id: _Optional[str] = ..., token_count: _Optional[int] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class UnjudgedLabel(_message.Message):
    __slots__ = ["error", "label", "space_id"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    error: _types_pb2.ModelError
    label: str
    space_id: str
    def __init__(self, space_id: _Optional[str] = ..., label: _Optional[str] = ..., error: _Optional[_Union[_types_pb2.ModelError, _Mapping]] = ...) -> None: ...

class UnknownWords(_message.Message):
    __slots__ = ["example", "space_id", "words"]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    example: int
    space_id: str
    words: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, example: _Optional[int] = ..., space_id: _Optional[str] = ..., words: _Optional[_Iterable[str]] = ...) -> None: ...

class ClassifyMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
