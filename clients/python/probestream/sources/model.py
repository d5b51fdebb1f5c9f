"""A model whose header has been read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Mapping, Optional, Tuple

from probestream.errors import ProbestreamError
from probestream.stopping import Stop


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as its file describes it."""

    name: str
    #: As safetensors calls it, "BF16" say.
    dtype: str
    shape: Tuple[int, ...]


class OpenModel:
    """A model whose tensors can be streamed, wherever they lie."""

    #: Path or URL, fit for messages.
    location: str
    tensors: Mapping[str, TensorInfo]
    #: What the file says of itself.
    metadata: Mapping[str, str]
    #: What identifies the content cheaply, hexadecimal; None where nothing does: its upload ends with the call.
    identity: Optional[str]
    #: Whether it is read over HTTP.
    remote: bool

    def stream(self, name: str, begin: int, end: int, chunk_bytes: int, stop: Stop) -> Iterator[memoryview]:
        """Bytes of a tensor, piece by piece. A piece may be overwritten when the next is asked for."""
        raise NotImplementedError

    def close(self) -> None:
        """Lets go of files and connections."""


def no_such_bytes(location: str, name: str, begin: int, end: int) -> ProbestreamError:
    """The error of a server that wants what a model does not hold."""
    message = f'"{location}" has no bytes {begin} to {end} of a tensor "{name[:200]}", which the server wants'
    return ProbestreamError("LAYER_NOT_FOUND", message, {"tensor": name})
