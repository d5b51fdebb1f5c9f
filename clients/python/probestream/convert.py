"""Between the wire and what calls give back."""

from __future__ import annotations

import datetime
import math
from typing import Any, Dict, Iterable, List, Mapping, Optional

import numpy as np
import numpy.typing as npt

from probestream.errors import ProbestreamError, from_model_error
from probestream.gen.v1 import (
    catalogue_service_pb2,
    embedding_service_pb2,
    expert_service_pb2,
    retrieval_service_pb2,
    server_service_pb2,
    types_pb2,
)
from probestream.results import (
    Answer,
    Backend,
    Classification,
    DoubtfulLabel,
    Duplicate,
    Duplicates,
    EmbedResult,
    Expert,
    ExpertEmbedding,
    FloatArray,
    Hit,
    LabelScore,
    Record,
    RouteCandidate,
    Scalar,
    ServerInfo,
    SkippedSpace,
    Space,
    TreeMatch,
    TruncatedExample,
    UnjudgedLabel,
    UnknownWords,
)


def to_floats(data: bytes) -> FloatArray:
    """Little-endian float32 numbers as an array that can be written to."""
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def from_floats(values: "npt.ArrayLike") -> bytes:
    """Numbers as little-endian float32."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def to_matrix(rows: "npt.ArrayLike") -> types_pb2.FloatMatrix:
    """Text vectors, one per row."""
    try:
        matrix = np.ascontiguousarray(rows, dtype="<f4")
    except (TypeError, ValueError) as error:
        message = "texts are no numbers; give vectors: those of read_texts, or a list of numbers per text, all of one width"
        raise ProbestreamError("FIELD_INVALID", f"{message}. A text itself is for retrieve.") from error
    if matrix.ndim != 2:
        message = f"texts has {matrix.ndim} dimensions, shape {matrix.shape}; it must have 2: a text vector per row"
        raise ProbestreamError("SHAPE_MISMATCH", message)
    return types_pb2.FloatMatrix(data=matrix.tobytes(), rows=matrix.shape[0], columns=matrix.shape[1])


def to_tree(tree: types_pb2.TreeMatch) -> TreeMatch:
    """How a model stands to a tree."""
    return TreeMatch(tree.tree, tree.parent, tree.distance, tree.radius, tree.accepted)


def fill_result(result: EmbedResult, wire: embedding_service_pb2.ModelResult) -> None:
    """Puts what the server answered into a result."""
    embedding = wire.embedding
    result.embeddings = [_to_embedding(one) for one in embedding.embeddings]
    result.bytes_received, result.bytes_total = embedding.bytes_received, embedding.bytes_total
    result.rows_projected = embedding.rows_projected
    times = embedding.timings
    stages = ("total", "receive", "wait", "digest", "project", "head")
    result.timings = {stage: _seconds(getattr(times, stage)) for stage in stages}
    result.backends = {use.name: use.device for use in embedding.backends}
    result.weights_hash, result.indexed_id = embedding.weights_hash, embedding.indexed_id


def _to_embedding(one: embedding_service_pb2.ExpertEmbedding) -> ExpertEmbedding:
    return ExpertEmbedding(
        one.space_id,
        one.expert_name,
        to_floats(one.representation),
        to_floats(one.text_cosines),
        to_floats(one.label_logits),
        to_floats(one.label_probabilities),
        list(one.labels),
        to_tree(one.tree) if one.HasField("tree") else None,
    )


def to_scalars(metadata: Mapping[str, Any]) -> Dict[str, catalogue_service_pb2.MetadataValue]:
    """Metadata for the wire."""
    return {name: to_scalar(value, f'the value of "{name}"') for name, value in metadata.items()}


def to_scalar(value: Any, what: str) -> catalogue_service_pb2.MetadataValue:
    """One value for the wire. Booleans are looked at first: in Python they are numbers as well."""
    if isinstance(value, (bool, np.bool_)):
        return catalogue_service_pb2.MetadataValue(truth=bool(value))
    if isinstance(value, str):
        return catalogue_service_pb2.MetadataValue(text=value)
    if isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(value):
        return catalogue_service_pb2.MetadataValue(number=float(value))
    raise ProbestreamError("FIELD_INVALID", f"{what} is {value!r}; it must be a text, a finite number or a boolean")


def from_scalar(value: catalogue_service_pb2.MetadataValue) -> Scalar:
    """One value from the wire."""
    kind = value.WhichOneof("kind")
    found: Scalar = "" if kind is None else getattr(value, kind)
    return found


def to_record(wire: catalogue_service_pb2.ModelRecord) -> Record:
    """A record from the wire."""
    return Record(
        wire.model_id,
        to_floats(wire.representation) if wire.representation else None,
        wire.space_id,
        wire.weights_hash,
        wire.file_hash,
        wire.tree,
        wire.base,
        {name: from_scalar(value) for name, value in wire.metadata.items()},
        dict(wire.claims),
        _to_time(wire, "created"),
        _to_time(wire, "updated"),
    )


def from_record(record: Record) -> catalogue_service_pb2.ModelRecord:
    """A record for the wire."""
    if record.representation is None:
        raise ProbestreamError(
            "FIELD_INVALID", f'the record "{record.model_id}" has no representation; export it with one'
        )
    wire = catalogue_service_pb2.ModelRecord(
        model_id=record.model_id,
        representation=from_floats(record.representation),
        weights_hash=record.weights_hash,
        file_hash=record.file_hash,
        tree=record.tree,
        base=record.base,
        metadata=to_scalars(record.metadata),
        claims=record.claims,
        space_id=record.space_id,
    )
    for name in ("created", "updated"):
        time = getattr(record, name)
        if time is not None:
            getattr(wire, name).FromDatetime(time.astimezone(datetime.timezone.utc).replace(tzinfo=None))
    return wire


def _to_time(wire: catalogue_service_pb2.ModelRecord, name: str) -> Optional[datetime.datetime]:
    if not wire.HasField(name):
        return None
    time: datetime.datetime = getattr(wire, name).ToDatetime()
    return time.replace(tzinfo=datetime.timezone.utc)


def to_answer(wire: retrieval_service_pb2.QueryAnswer) -> Answer:
    """The answer to one query."""
    if wire.WhichOneof("outcome") == "error":
        return Answer(error=from_model_error(wire.error))
    hits = [
        Hit(
            hit.model_id,
            hit.space_id,
            hit.cosine,
            hit.score if hit.HasField("score") else None,
            to_record(hit.record) if hit.HasField("record") else None,
        )
        for hit in wire.hits.hits
    ]
    skipped = [SkippedSpace(one.space_id, one.expert_name, from_model_error(one.error)) for one in wire.hits.skipped]
    truncated = [
        TruncatedExample(one.example, one.space_id, one.token_count, one.max_tokens) for one in wire.hits.truncated
    ]
    unknown = [UnknownWords(one.example, one.space_id, list(one.words)) for one in wire.hits.unknown_words]
    return Answer(hits, skipped, truncated, unknown_words=unknown)


def to_classifications(wire: retrieval_service_pb2.ClassifyResponse) -> List[Classification]:
    """What labels fit each model, with what is said of the labels in its space."""
    answers = [_to_classification(answer) for answer in wire.answers]
    unjudged: Dict[str, List[UnjudgedLabel]] = {}
    for one in wire.unjudged:
        unjudged.setdefault(one.space_id, []).append(UnjudgedLabel(one.label, from_model_error(one.error)))
    doubtful: Dict[str, List[DoubtfulLabel]] = {}
    for doubt in wire.doubtful:
        label = DoubtfulLabel(doubt.label, list(doubt.unknown_words), doubt.unfamiliar)
        doubtful.setdefault(doubt.space_id, []).append(label)
    for answer in answers:
        answer.unjudged = unjudged.get(answer.space_id, [])
        answer.doubtful = doubtful.get(answer.space_id, [])
    return answers


def _to_classification(wire: retrieval_service_pb2.ClassifyAnswer) -> Classification:
    if wire.WhichOneof("outcome") == "error":
        return Classification(error=from_model_error(wire.error))
    labels = [
        LabelScore(
            one.label,
            one.probability if one.HasField("probability") else None,
            one.cosine if one.HasField("cosine") else None,
        )
        for one in wire.scores.labels
    ]
    return Classification(labels, wire.scores.space_id, wire.scores.calibrated)


def to_duplicates(wire: retrieval_service_pb2.DuplicatesAnswer) -> Duplicates:
    """Copies of one model."""
    if wire.WhichOneof("outcome") == "error":
        return Duplicates(error=from_model_error(wire.error))
    return Duplicates(
        [Duplicate(one.model_id, one.space_id, one.cosine, one.same_weights) for one in wire.duplicates.duplicates]
    )


def to_space(wire: catalogue_service_pb2.Space) -> Space:
    """A space of the catalogue."""
    state = _word(catalogue_service_pb2.SpaceState, wire.state, "SPACE_STATE_")
    return Space(
        wire.space_id,
        wire.expert_name,
        wire.width,
        state,
        wire.model_count,
        list(wire.fields),
        wire.expert_present,
        wire.calibrated,
    )


def to_expert(wire: expert_service_pb2.Expert) -> Expert:
    """An expert."""
    return Expert(
        wire.space_id,
        wire.name,
        _word(expert_service_pb2.Objective, wire.objective, "OBJECTIVE_"),
        wire.layer.module,
        _word(expert_service_pb2.LayerKind, wire.layer.kind, "LAYER_KIND_"),
        wire.layer_rows,
        wire.layer_columns,
        wire.representation_width,
        wire.text_width,
        wire.text_encoder,
        wire.prompt,
        list(wire.labels),
        wire.tree.name,
    )


def to_candidates(wire: Iterable[expert_service_pb2.RouteCandidate]) -> List[RouteCandidate]:
    """Experts that a model may belong to."""
    return [
        RouteCandidate(
            one.space_id,
            one.expert_name,
            one.possible,
            one.claimed,
            to_tree(one.tree) if one.HasField("tree") else None,
        )
        for one in wire
    ]


def to_decision(wire: expert_service_pb2.RouteModelResponse) -> str:
    """ "routed", "undecided" or "no_expert"."""
    return _word(expert_service_pb2.RouteDecision, wire.decision, "ROUTE_DECISION_")


def to_server_info(wire: server_service_pb2.GetServerInfoResponse) -> ServerInfo:
    """What a server is and what it allows."""
    limits = {
        name.name: _seconds(getattr(wire.limits, name.name)) if name.message_type else getattr(wire.limits, name.name)
        for name in wire.limits.DESCRIPTOR.fields
    }
    memory = {name.name: getattr(wire.memory_plan, name.name) for name in wire.memory_plan.DESCRIPTOR.fields}
    backends = [
        Backend(one.name, one.device, one.available, one.unavailable_reason, one.gflops) for one in wire.backends
    ]
    return ServerInfo(wire.version, limits, memory, backends, wire.process_count, wire.store, list(wire.text_encoders))


def _seconds(duration: Any) -> float:
    return float(duration.seconds) + float(duration.nanos) / 1e9


def _word(enum: Any, value: int, prefix: str) -> str:
    """The name of an enum's value, in lower case; of one that this version does not know, its number."""
    try:
        name: str = enum.Name(value)
    except ValueError:
        return str(value)
    return name[len(prefix) :].lower()
