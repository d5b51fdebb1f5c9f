"""Stored numbers as float32."""

from __future__ import annotations

from typing import Any, Callable, Dict

import numpy as np
import numpy.typing as npt

from probestream.gen.v1 import types_pb2
from probestream.results import FloatArray

#: Bytes per element of the types that can be projected.
ITEM_BYTES: Dict[int, int] = {
    types_pb2.DTYPE_F64: 8,
    types_pb2.DTYPE_F32: 4,
    types_pb2.DTYPE_F16: 2,
    types_pb2.DTYPE_BF16: 2,
    types_pb2.DTYPE_F8_E4M3: 1,
    types_pb2.DTYPE_F8_E5M2: 1,
}


def _float8_e4m3() -> FloatArray:
    """All 256 numbers with 4 exponent and 3 mantissa bits; no infinities, NaN where all bits but the sign are set."""
    bits = np.arange(256)
    exponent, mantissa = (bits >> 3) & 15, bits & 7
    small = exponent == 0
    value = np.where(small, mantissa / 8.0, 1 + mantissa / 8.0) * 2.0 ** (np.where(small, 1, exponent) - 7.0)
    value[(bits & 0x7F) == 0x7F] = np.nan
    return np.where(bits >= 128, -value, value).astype(np.float32)


def _from_bfloat16(data: Any) -> FloatArray:
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def _from_e5m2(data: Any) -> FloatArray:
    # Half of a float16: its upper byte.
    return (np.frombuffer(data, np.uint8).astype(np.uint16) << 8).view(np.float16).astype(np.float32)


_E4M3 = _float8_e4m3()


def _plain(name: str) -> "Callable[[Any], npt.NDArray[np.float32]]":
    return lambda data: np.frombuffer(data, name).astype(np.float32, copy=False)


_READERS: Dict[int, Callable[[Any], FloatArray]] = {
    types_pb2.DTYPE_F64: _plain("<f8"),
    types_pb2.DTYPE_F32: _plain("<f4"),
    types_pb2.DTYPE_F16: _plain("<f2"),
    types_pb2.DTYPE_BF16: _from_bfloat16,
    types_pb2.DTYPE_F8_E4M3: lambda data: _E4M3[np.frombuffer(data, np.uint8)],
    types_pb2.DTYPE_F8_E5M2: _from_e5m2,
}


def widen(data: Any, dtype: int) -> FloatArray:
    """Little-endian numbers as float32: exact for every type but float64, which is rounded to nearest."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _READERS[dtype](data)
