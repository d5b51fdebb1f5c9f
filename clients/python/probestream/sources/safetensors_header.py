"""Headers of safetensors files, which may come from a stranger."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from probestream.errors import ProbestreamError
from probestream.sources.byte_source import ByteSource
from probestream.sources.dtypes import BITS
from probestream.sources.formats import assert_safetensors
from probestream.stopping import Stop

#: Bytes of a header at most, as in the reference implementation. A tensor takes some 120.
MAX_HEADER_BYTES = 100_000_000

#: Bytes that are read first: all of the header of most LoRA files.
PREFIX_BYTES = 64 * 1024

_MAX_COUNT = 2**53 - 1

#: Extents of a tensor at most; to multiply millions of them would take hours.
_MAX_DIMENSIONS = 16


@dataclass(frozen=True)
class StoredTensor:
    """A tensor with its place in the file."""

    name: str
    #: As safetensors calls it, "BF16" say.
    dtype: str
    shape: Tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file says of itself."""

    tensors: Mapping[str, StoredTensor]
    metadata: Mapping[str, str]
    #: SHA-256 of the header, hexadecimal.
    digest: str


def read_header(source: ByteSource, stop: Stop) -> Header:
    """Reads and checks a header; the tensors are not touched."""
    prefix = source.read(0, min(source.size, PREFIX_BYTES), stop)
    assert_safetensors(prefix, source.name)
    length = _header_length(prefix, source)
    whole = prefix if 8 + length <= len(prefix) else source.read(0, 8 + length, stop)
    entries = _parse(whole[8 : 8 + length], source.name)
    metadata = _to_metadata(entries.pop("__metadata__", {}), source.name)
    tensors = [_to_tensor(name, entry, 8 + length, source.name) for name, entry in entries.items()]
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    _assert_layout(tensors, 8 + length, source)
    digest = hashlib.sha256(whole[: 8 + length]).hexdigest()
    return Header({tensor.name: tensor for tensor in tensors}, metadata, digest)


def _header_length(prefix: bytes, source: ByteSource) -> int:
    if len(prefix) < 8:
        raise _malformed(
            f'"{source.name}" has {source.size} bytes; a safetensors file starts with 8 bytes of header length. '
            "It is empty, cut short or no safetensors file: download or save it again"
        )
    length = int.from_bytes(prefix[:8], "little")
    if length > MAX_HEADER_BYTES:
        raise ProbestreamError(
            "LIMIT_EXCEEDED",
            f'the header of "{source.name}" claims {length} bytes; at most {MAX_HEADER_BYTES} are allowed. '
            "The file is damaged or no safetensors file",
            {"headerBytes": length, "maxHeaderBytes": MAX_HEADER_BYTES},
        )
    missing = 8 + length - source.size
    if missing > 0:
        raise _malformed(
            f'the header of "{source.name}" has {length} bytes, but the file ends {missing} bytes before its end: '
            "it is cut short or no safetensors file"
        )
    return length


def _parse(text: bytes, name: str) -> Dict[str, Any]:
    def to_object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise _malformed(f'the header of "{name}" has the same key twice; the file is damaged')
        return found

    try:
        entries = json.loads(text.decode("utf-8"), object_pairs_hook=to_object)
        # Halves of surrogate pairs, which JSON can spell, are no text that can be sent.
        json.dumps(entries, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise _malformed(f'the header of "{name}" is no JSON in UTF-8: {error}; the file is damaged') from error
    if not isinstance(entries, dict):
        raise _malformed(f'the header of "{name}" is no JSON object; the file is no safetensors file')
    return entries


def _to_metadata(value: Any, name: str) -> Dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _malformed(f'__metadata__ of "{name}" is not texts by name')
    return value


def _to_tensor(name: str, entry: Any, header_bytes: int, file: str) -> StoredTensor:
    subject = f'tensor "{_shown(name)}" of "{file}"'
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _malformed(f"{subject} must have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], _sizes(entry["shape"], subject), _sizes(entry["data_offsets"], subject)
    if not isinstance(dtype, str) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _malformed(f"{subject} has a dtype that is no text, or data_offsets that are no range")
    if len(shape) > _MAX_DIMENSIONS:
        raise _malformed(f"{subject} has {len(shape)} dimensions; at most {_MAX_DIMENSIONS} are read")
    count = math.prod(shape)
    length = offsets[1] - offsets[0]
    wanted = count * BITS[dtype] / 8 if dtype in BITS and count <= _MAX_COUNT else None
    if count > _MAX_COUNT or wanted not in (None, length):
        raise _malformed(
            f"{subject} has {length} bytes; {dtype} of shape {list(shape)} needs "
            f"{'more than any file has' if wanted is None else wanted}. The file is damaged or written wrong"
        )
    return StoredTensor(name, dtype, tuple(shape), header_bytes + offsets[0], header_bytes + offsets[1])


def _sizes(value: Any, subject: str) -> List[int]:
    if isinstance(value, list) and all(type(item) is int and 0 <= item <= _MAX_COUNT for item in value):
        return value
    raise _malformed(f"{subject} has a shape or data_offsets that are no list of whole numbers from 0")


def _assert_layout(tensors: List[StoredTensor], header_bytes: int, source: ByteSource) -> None:
    """Tensors, sorted by place, must follow each other from the header's end to the file's."""
    at = header_bytes
    for tensor in tensors:
        if tensor.begin != at:
            raise _malformed(
                f'tensor "{_shown(tensor.name)}" of "{source.name}" begins at {tensor.begin}, where {at} was expected: '
                "tensors must follow each other. The file is damaged or written wrong"
            )
        at = tensor.end
    if at != source.size:
        raise _malformed(
            f'"{source.name}" has {source.size} bytes; its header describes {at}. '
            + ("It was cut short: download or copy it again" if at > source.size else "The file is damaged")
        )


def _shown(name: str) -> str:
    return name if len(name) <= 200 else name[:200] + "…"


def _malformed(message: str, metadata: Optional[Mapping[str, object]] = None) -> ProbestreamError:
    return ProbestreamError("HEADER_MALFORMED", message, metadata)
