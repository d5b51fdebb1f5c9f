"""Models in memory: arrays by name, of NumPy or PyTorch."""

from __future__ import annotations

import sys
from typing import Any, Dict, Iterator, Mapping

import numpy as np

from probestream.errors import ProbestreamError
from probestream.sources.dtypes import from_name
from probestream.sources.model import OpenModel, TensorInfo, no_such_bytes
from probestream.stopping import Stop


class ArrayModel(OpenModel):
    """A state dict. Tensors are looked at when they are wanted: only those are copied from a device, or put in a row.

    Memory: none for arrays that lie in a row in this machine's memory; otherwise one wanted tensor.
    """

    remote = False
    identity = None

    def __init__(self, arrays: Mapping[str, Any], location: str) -> None:
        self._arrays = arrays
        self.location = location
        self.metadata: Dict[str, str] = {}
        self.tensors = {name: _describe(name, array) for name, array in arrays.items()}

    def stream(self, name: str, begin: int, end: int, chunk_bytes: int, stop: Stop) -> Iterator[memoryview]:
        if name not in self._arrays:
            raise no_such_bytes(self.location, name, begin, end)
        try:
            view = _to_bytes(self._arrays[name])
        except Exception as error:  # what PyTorch says of tensors without values, of a device that is gone
            message = f'"{name}" of a state dict has no bytes that can be read: {error}'
            raise ProbestreamError("FIELD_INVALID", message, {"tensor": name}) from error
        if not 0 <= begin <= end <= len(view):
            raise no_such_bytes(self.location, name, begin, end)
        for at in range(begin, end, chunk_bytes):
            stop.check()
            yield view[at : min(end, at + chunk_bytes)]


def _is_torch(array: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def _describe(name: Any, array: Any) -> TensorInfo:
    if not isinstance(name, str):
        raise ProbestreamError("FIELD_INVALID", f"a state dict has the key {name!r}; keys must be texts")
    dtype, shape = getattr(array, "dtype", None), getattr(array, "shape", None)
    if dtype is None or shape is None:
        message = f'"{name}" of a state dict is a {type(array).__name__}; values must be arrays of NumPy or PyTorch'
        raise ProbestreamError("FIELD_INVALID", message, {"tensor": name})
    word = str(dtype)
    word = word[len("torch.") :] if word.startswith("torch.") else np.dtype(dtype).name
    return TensorInfo(name, from_name(word) or word, tuple(int(extent) for extent in shape))


def _to_bytes(array: Any) -> memoryview:
    """The bytes of a tensor, row-major and little-endian; a view where it lies like that."""
    if _is_torch(array):
        torch = sys.modules["torch"]
        flat = array.detach().cpu().contiguous().reshape(-1)
        # NumPy has no bfloat16 and no 8-bit floats: their bytes are looked at instead.
        return memoryview(flat.view(torch.uint8).numpy())
    whole = np.ascontiguousarray(array)
    if whole.dtype.byteorder == ">" or (whole.dtype.byteorder == "=" and sys.byteorder == "big"):
        whole = whole.astype(whole.dtype.newbyteorder("<"))
    return memoryview(whole.reshape(-1).view(np.uint8).data)
