"""What calls give back."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Union

import numpy as np
import numpy.typing as npt

from probestream.errors import ProbestreamError

FloatArray = npt.NDArray[np.float32]

#: A value of metadata.
Scalar = Union[str, float, bool]


@dataclass
class TreeMatch:
    """How a model stands to an expert's Model Tree."""

    tree: str
    #: Tree that it grew from; "" if it is not known.
    parent: str
    distance: float
    #: Distance that the tree accepts.
    radius: float
    accepted: bool


@dataclass
class ExpertEmbedding:
    """The result of one expert."""

    #: The space that the representation lies in: two compare only if it is equal.
    space_id: str
    expert_name: str
    #: e, r_T numbers.
    representation: FloatArray
    #: Cosine with each text vector that was given.
    text_cosines: FloatArray
    #: Of classification experts: a logit and a probability per label.
    label_logits: FloatArray
    label_probabilities: FloatArray
    labels: List[str]
    #: None if the expert was not calibrated.
    tree: Optional[TreeMatch] = None


@dataclass
class EmbedResult:
    """What became of one model: embeddings, or an error."""

    model_id: str
    #: Path or URL, fit for messages.
    location: str
    embeddings: List[ExpertEmbedding] = field(default_factory=list)
    #: Why there is no embedding.
    error: Optional[ProbestreamError] = None
    #: Bytes that the server received in the last call, and those that the representation rests on.
    bytes_received: int = 0
    bytes_total: int = 0
    rows_projected: int = 0
    #: Seconds by stage, on the server; stages overlap.
    timings: Dict[str, float] = field(default_factory=dict)
    #: What did the projection, by name.
    backends: Dict[str, str] = field(default_factory=dict)
    #: SHA-256 of the layer, hexadecimal, as the server computed it.
    weights_hash: str = ""
    #: Id under which the model is in the catalogue now; "" if it was not to be indexed.
    indexed_id: str = ""

    @property
    def embedding(self) -> ExpertEmbedding:
        """The only embedding. Raises the error if there is none, and if there are several."""
        if self.error is not None:
            raise self.error
        if len(self.embeddings) != 1:
            names = ", ".join(one.expert_name for one in self.embeddings)
            raise ProbestreamError(
                "FIELD_INVALID", f"{len(self.embeddings)} experts embedded the model: {names}; take one of embeddings"
            )
        return self.embeddings[0]

    @property
    def representation(self) -> FloatArray:
        """Representation of the only embedding."""
        return self.embedding.representation


@dataclass
class Record:
    """One model of the catalogue in one space."""

    model_id: str
    #: r_T numbers; None if it was not asked for.
    representation: Optional[FloatArray] = None
    space_id: str = ""
    weights_hash: str = ""
    file_hash: str = ""
    tree: str = ""
    base: str = ""
    #: What the user said of the model.
    metadata: Dict[str, Scalar] = field(default_factory=dict)
    #: What the model's file says of itself: claims, not facts.
    claims: Dict[str, str] = field(default_factory=dict)
    #: In UTC.
    created: Optional[datetime.datetime] = None
    updated: Optional[datetime.datetime] = None


@dataclass
class Hit:
    """A model that fits a query."""

    model_id: str
    space_id: str
    #: Compares within one space and one query only.
    cosine: float
    #: Calibrated, 0 to 1: compares across experts and queries. None where the expert has no calibration.
    score: Optional[float]
    record: Optional[Record] = None


@dataclass
class SkippedSpace:
    """A space that was not searched, and why."""

    space_id: str
    expert_name: str
    error: ProbestreamError


@dataclass
class TruncatedExample:
    """A text of a query that was cut in one space: what lies beyond had no say there."""

    #: Its place among the query's examples, positives before negatives.
    example: int
    space_id: str
    #: Tokens that it has with the expert's prompt, and those that the space's text encoder takes.
    token_count: int
    max_tokens: int


@dataclass
class UnknownWords:
    """Words of a text of a query that the text encoder of one space does not know: they had no say there."""

    #: The text's place among the query's examples, positives before negatives.
    example: int
    space_id: str
    #: As they stand in the text, each once, the first 32 at most.
    words: List[str]


@dataclass
class Answer:
    """The answer to one query: hits, the best first, or an error."""

    hits: List[Hit] = field(default_factory=list)
    skipped: List[SkippedSpace] = field(default_factory=list)
    truncated: List[TruncatedExample] = field(default_factory=list)
    error: Optional[ProbestreamError] = None
    unknown_words: List[UnknownWords] = field(default_factory=list)


@dataclass
class LabelScore:
    """How well one label fits."""

    label: str
    #: None where the expert has no calibration to tell.
    probability: Optional[float]
    #: None for classification experts.
    cosine: Optional[float]


@dataclass
class UnjudgedLabel:
    """A label that had no say, for the expert cannot judge it, and why."""

    label: str
    error: ProbestreamError


@dataclass
class DoubtfulLabel:
    """A label that was judged with less certainty than probabilities tell."""

    label: str
    #: Words of it that the text encoder does not know: it is judged by the others.
    unknown_words: List[str]
    #: Of another kind than the labels that the expert was trained on, so that `calibrated` is False.
    unfamiliar: bool


@dataclass
class Classification:
    """What labels fit one model, the best first, or an error."""

    labels: List[LabelScore] = field(default_factory=list)
    space_id: str = ""
    #: Whether probabilities were checked on models that the expert was not trained on, for labels such as these.
    calibrated: bool = False
    error: Optional[ProbestreamError] = None
    #: Labels asked for that are not among `labels`.
    unjudged: List[UnjudgedLabel] = field(default_factory=list)
    #: Of the labels that were judged, also those beyond `top`.
    doubtful: List[DoubtfulLabel] = field(default_factory=list)


@dataclass
class Duplicate:
    """A model that is nearly the same as another."""

    model_id: str
    space_id: str
    cosine: float
    #: Whether the streamed weights are the same bytes.
    same_weights: bool


@dataclass
class Duplicates:
    """Copies of one model, the nearest first, or an error."""

    duplicates: List[Duplicate] = field(default_factory=list)
    error: Optional[ProbestreamError] = None


@dataclass
class Space:
    """A space of the catalogue."""

    space_id: str
    expert_name: str
    width: int
    #: "filling", "serving" or "retired".
    state: str
    model_count: int
    #: Fields that filters may name, beside those that every model has.
    fields: List[str]
    expert_present: bool
    calibrated: bool


@dataclass
class Spaces:
    """Spaces of the catalogue."""

    spaces: List[Space]
    #: Name and place of the store, for people.
    store: str


@dataclass
class Expert:
    """One expert: what it reads and what it answers."""

    space_id: str
    name: str
    #: "zeroshot" or "classification".
    objective: str
    #: Path of the module that it reads, "lm.blocks.1.attn.to_out" say; "dense" or "lora".
    module: str
    layer_kind: str
    layer_rows: int
    layer_columns: int
    representation_width: int
    #: d_text; 0 if it compares with no texts.
    text_width: int
    #: SHA-256 of its text encoder, hexadecimal; "" if it names none.
    text_encoder: str
    #: Prompt with `{}` for the label.
    prompt: str
    labels: List[str]
    #: The Model Tree that it was calibrated on; "" if it was not.
    tree: str


@dataclass
class Experts:
    """Experts of a server, and folders that hold none."""

    experts: List[Expert]
    #: Why, by the folder's name.
    unusable: Dict[str, ProbestreamError]


@dataclass
class RouteCandidate:
    """An expert whose layer a model has."""

    space_id: str
    expert_name: str
    possible: bool
    claimed: bool
    tree: Optional[TreeMatch] = None


@dataclass
class Route:
    """Where a model belongs."""

    #: "routed", "undecided" or "no_expert".
    decision: str
    #: Those that can still be the one first, the nearest first among them.
    candidates: List[RouteCandidate]
    #: Bytes of weights that were sent to find out.
    bytes_sent: int


@dataclass
class Backend:
    """One compute backend of the server."""

    name: str
    device: str
    available: bool
    unavailable_reason: str
    gflops: float


@dataclass
class ServerInfo:
    """What a server is and what it allows."""

    version: str
    #: By the names of `Limits` in the contract; times in seconds.
    limits: Mapping[str, Union[int, float]]
    #: By the names of `MemoryPlan` in the contract.
    memory: Mapping[str, int]
    #: The one in use first.
    backends: List[Backend]
    process_count: int
    #: Name and place of the store of models; "" if the server keeps none.
    store: str
    #: SHA-256 of text encoders at hand.
    text_encoders: List[str]


def unit(vector: "npt.ArrayLike") -> "npt.NDArray[Any]":
    """A vector at unit length: the dot product of two is their cosine."""
    values = np.asarray(vector)
    length = float(np.linalg.norm(values))
    return values / length if length > 0 else values
