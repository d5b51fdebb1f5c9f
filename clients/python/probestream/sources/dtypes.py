"""Element types: as safetensors, NumPy and PyTorch call them, and on the wire."""

from __future__ import annotations

from typing import Dict, Optional

from probestream.gen.v1 import types_pb2

#: Bits per element of every type that safetensors has, readable by the server or not.
BITS: Dict[str, int] = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("C64", "F64", "I64", "U64"), 64),
}

_WIRE: Dict[str, int] = {
    "F64": types_pb2.DTYPE_F64,
    "F32": types_pb2.DTYPE_F32,
    "F16": types_pb2.DTYPE_F16,
    "BF16": types_pb2.DTYPE_BF16,
    "F8_E4M3": types_pb2.DTYPE_F8_E4M3,
    "F8_E5M2": types_pb2.DTYPE_F8_E5M2,
}

# NumPy's names, those of the package ml_dtypes, and PyTorch's without their "torch.".
_NAMES: Dict[str, str] = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "complex64": "C64",
}


def to_wire(dtype: str) -> int:
    """The wire's number; 0 for types that the server does not read, which it refuses where they are wanted."""
    return _WIRE.get(dtype, types_pb2.DTYPE_UNSPECIFIED)


def from_name(name: str) -> Optional[str]:
    """safetensors' name for one of NumPy's or PyTorch's; None where it has none."""
    return _NAMES.get(name)
