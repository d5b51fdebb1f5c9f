"""Client of Probestream: streams model weights to a server and says what the model does.

>>> import probestream
>>> with probestream.connect("127.0.0.1:50051") as client:  # doctest: +SKIP
...     print(client.embed("model.safetensors").representation)
"""

from probestream.client import Client, connect
from probestream.connection import VERSION as __version__
from probestream.connection import Tls
from probestream.errors import ProbestreamError
from probestream.filters import Filter, field
from probestream.models import Index, Model, ModelSource, Query, Stored, Texts, read_texts
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
    Experts,
    Hit,
    LabelScore,
    Record,
    Route,
    RouteCandidate,
    ServerInfo,
    SkippedSpace,
    Space,
    Spaces,
    TreeMatch,
    TruncatedExample,
    UnjudgedLabel,
    UnknownWords,
    unit,
)
from probestream.upload.progress import Progress

__all__ = [
    "Answer",
    "Backend",
    "Classification",
    "Client",
    "DoubtfulLabel",
    "Duplicate",
    "Duplicates",
    "EmbedResult",
    "Expert",
    "ExpertEmbedding",
    "Experts",
    "Filter",
    "Hit",
    "Index",
    "LabelScore",
    "Model",
    "ModelSource",
    "ProbestreamError",
    "Progress",
    "Query",
    "Record",
    "Route",
    "RouteCandidate",
    "ServerInfo",
    "SkippedSpace",
    "Space",
    "Spaces",
    "Stored",
    "Texts",
    "Tls",
    "TreeMatch",
    "TruncatedExample",
    "UnjudgedLabel",
    "UnknownWords",
    "__version__",
    "connect",
    "field",
    "read_texts",
    "unit",
]
