"""Opens whatever a model may be given as."""

from __future__ import annotations

import os
from typing import Any, Mapping

from probestream.errors import ProbestreamError
from probestream.sources.array_model import ArrayModel
from probestream.sources.file_model import open_bytes, open_path, open_url
from probestream.sources.http_source import is_url
from probestream.sources.model import OpenModel
from probestream.stopping import Stop


def is_one_model(source: Any) -> bool:
    """Whether something stands for one model, and not for a list of them."""
    return isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview, Mapping)) or hasattr(
        source, "state_dict"
    )


def open_model(source: Any, name: str, headers: Mapping[str, str], stop: Stop) -> OpenModel:
    """Opens a path or URL, the bytes of a safetensors file, arrays by name, or a module of PyTorch. Reads no weights.

    Args:
        source: the model.
        name: what to call one that has no location.
        headers: sent with requests to the server of a URL.
    """
    if isinstance(source, (str, os.PathLike)):
        location = os.fspath(source)
        if isinstance(location, bytes):
            location = os.fsdecode(location)
        return open_url(location, headers, stop) if is_url(location) else open_path(location, stop)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return open_bytes(source, name, stop)
    if hasattr(source, "state_dict") and not isinstance(source, Mapping):
        source = source.state_dict()
    if isinstance(source, Mapping):
        return ArrayModel(source, name)
    kind = type(source).__name__
    message = f"a model is given as a {kind}; give a path, a URL, the bytes of a safetensors file, or arrays by name"
    raise ProbestreamError("FIELD_INVALID", message)


def location_of(source: Any, name: str) -> str:
    """What to call a model in messages that could not be opened."""
    if isinstance(source, (str, os.PathLike)):
        location = os.fsdecode(os.fspath(source))
        return location.split("?", 1)[0] if is_url(location) else location
    return name
