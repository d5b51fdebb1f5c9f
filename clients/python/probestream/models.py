"""How models, queries and conditions are given to calls."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Iterable, List, Mapping, Optional, Protocol, Sequence, Tuple, Union

import numpy as np
import numpy.typing as npt

from probestream.convert import from_floats, to_floats, to_scalars
from probestream.errors import ProbestreamError
from probestream.filters import Filter
from probestream.gen.v1 import catalogue_service_pb2, embedding_service_pb2, retrieval_service_pb2
from probestream.results import EmbedResult, ExpertEmbedding, FloatArray
from probestream.sources.file_model import open_path
from probestream.stopping import Stop

#: Names, or one alone.
Names = Union[str, Iterable[str]]

#: A value of metadata: a text, a finite number or a boolean.
Metadatum = Union[str, float, bool, np.generic]


class HasStateDict(Protocol):
    """A module of PyTorch."""

    def state_dict(self) -> Mapping[str, Any]:
        """Tensors by name."""


#: What a model is given as: a path or URL, the bytes of a safetensors file, arrays by name, a module of PyTorch.
ModelSource = Union[str, os.PathLike[Any], bytes, bytearray, memoryview, Mapping[str, Any], HasStateDict]


@dataclass
class Index:
    """What is to be known of a model in the catalogue."""

    #: What the user says of the model: texts, finite numbers, booleans.
    metadata: Mapping[str, Metadatum] = field(default_factory=dict)
    #: The base model, if the user knows it; "": what the file says.
    base: str = ""
    #: SHA-256 of the whole file, hexadecimal; "" if it was not computed.
    file_hash: str = ""
    #: A space that is new waits until it is switched to.
    fill: bool = False


@dataclass
class Model:
    """A model with a name of its own, or that is to be indexed with facts of its own."""

    #: Path, URL, the bytes of a safetensors file, arrays by name, or a module of PyTorch.
    source: ModelSource
    #: The caller's name, also in the catalogue; "": the end of its location.
    id: str = ""
    #: In place of that of the call.
    index: Optional[Index] = None


@dataclass(frozen=True)
class Stored:
    """A model of the catalogue, by id."""

    model_id: str


#: A model of the catalogue, or a representation: a result of `embed`, or (space id, numbers).
ModelExample = Union[Stored, EmbedResult, ExpertEmbedding, Tuple[str, npt.ArrayLike]]

#: What a query resembles: a text as people would say it, or a model.
Example = Union[str, ModelExample]


@dataclass
class Query:
    """What is wanted. A text alone may stand for it."""

    #: Several count as one query: their mean.
    positives: Union[Example, Sequence[Example]] = ()
    #: What is not wanted.
    negatives: Union[Example, Sequence[Example]] = ()
    #: Models wanted; 0 stands for 10.
    k: int = 0
    #: Condition on models; see `field`.
    filter: Optional[Filter] = None
    #: Experts whose spaces are searched, by name or space id; none: all that serve.
    experts: Names = ()
    #: Model Trees that models must belong to.
    trees: Names = ()
    #: Score, 0 to 1, and cosine, -1 to 1, that a model has at least.
    min_score: Optional[float] = None
    min_cosine: Optional[float] = None
    #: Of models with the same base only so many best ones are kept; 0: all.
    max_per_base: int = 0
    #: Look at every record, also where the store has an approximate index.
    exact: bool = False


@dataclass
class Texts:
    """Text vectors, and what they stand for."""

    #: One per row.
    labels: List[str]
    #: Texts × d_text.
    vectors: FloatArray


def read_texts(path: "str | os.PathLike[str]") -> Texts:
    """Reads text vectors from a safetensors file: `text_embeds`, and `labels` in its metadata, a JSON list."""
    import json

    model = open_path(os.fspath(path), Stop())
    try:
        tensor = model.tensors.get("text_embeds")
        if tensor is None or tensor.dtype != "F32" or len(tensor.shape) != 2:
            raise ProbestreamError("SHAPE_MISMATCH", f"{path} must hold the tensor text_embeds, F32 [texts, width]")
        size = 4 * tensor.shape[0] * tensor.shape[1]
        data = b"".join(bytes(piece) for piece in model.stream("text_embeds", 0, size, 1 << 20, Stop()))
        labels = json.loads(model.metadata["labels"]) if "labels" in model.metadata else None
    finally:
        model.close()
    names = [f"text {row}" for row in range(tensor.shape[0])] if labels is None else [str(label) for label in labels]
    if len(names) != tensor.shape[0]:
        raise ProbestreamError("HEADER_MALFORMED", f"{path} has {tensor.shape[0]} vectors and {len(names)} labels")
    return Texts(names, to_floats(data).reshape(tensor.shape))


def to_index(index: Index, model_id: str, claims: Mapping[str, str]) -> embedding_service_pb2.IndexRequest:
    """What is to be known of a model, for the wire."""
    return embedding_service_pb2.IndexRequest(
        model_id=model_id,
        metadata=to_scalars(index.metadata),
        claims=claims,
        file_hash=index.file_hash,
        base=index.base,
        fill=index.fill,
    )


def to_names(names: Names) -> List[str]:
    """Names as the wire takes them. A name alone may stand for a list of one; else it would be one of letters."""
    found = [names] if isinstance(names, str) else list(names) if isinstance(names, Iterable) else [names]
    if all(isinstance(name, str) for name in found):
        return found
    raise ProbestreamError("FIELD_INVALID", f"names are given as {names!r}; give a name, or a list of names")


def to_query(query: Union[str, Query]) -> retrieval_service_pb2.RetrievalQuery:
    """A query for the wire."""
    if isinstance(query, str):
        query = Query(query)
    if not isinstance(query, Query):
        raise ProbestreamError("FIELD_INVALID", f"a query is given as a {type(query).__name__}; give a text or a Query")
    return retrieval_service_pb2.RetrievalQuery(
        positives=to_examples(query.positives),
        negatives=to_examples(query.negatives),
        k=to_uint32(query.k, "k"),
        filter=to_filter(query.filter),
        experts=to_names(query.experts),
        trees=to_names(query.trees),
        min_score=query.min_score,
        min_cosine=query.min_cosine,
        max_per_base=to_uint32(query.max_per_base, "max_per_base"),
        exact=query.exact,
    )


def to_filter(condition: Optional[Filter]) -> Optional[catalogue_service_pb2.Filter]:
    """A condition for the wire."""
    if condition is None or isinstance(condition, catalogue_service_pb2.Filter):
        return condition
    if isinstance(condition, Filter):
        return condition.wire
    message = f'a filter is given as a {type(condition).__name__}; write it as field("meta.style") == "anime"'
    raise ProbestreamError("FIELD_INVALID", message)


def is_one_example(examples: Any) -> bool:
    """Whether something stands for one example, and not for a list of them."""
    is_pair = (
        isinstance(examples, tuple)
        and len(examples) == 2
        and isinstance(examples[0], str)
        and not isinstance(examples[1], (str, Stored))
    )
    return isinstance(examples, (str, Stored, EmbedResult, ExpertEmbedding)) or is_pair


def to_examples(examples: Union[Example, Sequence[Example]]) -> List[retrieval_service_pb2.Example]:
    """One example or several, for the wire."""
    if is_one_example(examples) or not isinstance(examples, Iterable):
        return [to_example(examples)]  # type: ignore[arg-type]
    return [to_example(example) for example in examples]  # type: ignore[arg-type]


def to_model_example(model: Example) -> retrieval_service_pb2.Example:
    """A model that is to be classified, for the wire."""
    if not isinstance(model, str):
        return to_example(model)
    message = (
        "a text cannot be classified, and an id or path alone counts as one; "
        "give a result of embed, or Stored(id) for a model of the catalogue"
    )
    raise ProbestreamError("FIELD_INVALID", message)


def to_uint32(value: int, what: str) -> int:
    """A number that the wire can carry; what it means is the server's to say."""
    if isinstance(value, (int, np.integer)) and 0 <= value < 2**32:
        return int(value)
    raise ProbestreamError("FIELD_INVALID", f"{what} is {value!r}; it must be a whole number from 0")


def to_example(example: Example) -> retrieval_service_pb2.Example:
    """One example for the wire."""
    if isinstance(example, str):
        return retrieval_service_pb2.Example(text=example)
    if isinstance(example, Stored):
        return retrieval_service_pb2.Example(model_id=example.model_id)
    if isinstance(example, EmbedResult):
        example = example.embedding
    if isinstance(example, ExpertEmbedding):
        space_id, values = example.space_id, from_floats(example.representation)
    elif isinstance(example, tuple) and len(example) == 2:
        space_id, values = example[0], from_floats(np.asarray(example[1]))
    else:
        kind = type(example).__name__
        message = f"an example is given as a {kind}; give a text, Stored(id), a result of embed, or (space id, numbers)"
        raise ProbestreamError("FIELD_INVALID", message)
    return retrieval_service_pb2.Example(
        representation=retrieval_service_pb2.Representation(space_id=space_id, values=values)
    )
