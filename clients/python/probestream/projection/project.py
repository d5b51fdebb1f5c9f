"""Projects the layers of one model for its experts: weights in, sums out."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np

from probestream.digests import UploadDigest
from probestream.errors import ProbestreamError
from probestream.gen.v1 import embedding_service_pb2, types_pb2
from probestream.projection.probe_cache import Probes
from probestream.projection.widen import ITEM_BYTES, widen
from probestream.results import FloatArray

#: Bytes of rows that are multiplied at a time, about.
_BLOCK_BYTES = 4 * 1024 * 1024

#: Reads bytes of a tensor: its name, the first byte and one past the last.
Reader = Callable[[str, int, int], Iterator[memoryview]]

_ROLES = types_pb2


class _Sums:
    """The accumulator of one expert, "probex/1": Z = V X U of a dense layer, V B and A U of a LoRA. Sums in float64."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes
        self._scale: Optional[FloatArray] = None
        self._parts: Dict[str, Any] = {}

    def add(self, role: int, first: int, rows: FloatArray) -> None:
        """Adds stored rows from `first` on."""
        u, v, turned = self._probes.u, self._probes.v, self._probes.layout == "transposed"
        span = slice(first, first + len(rows))
        if role == _ROLES.TENSOR_ROLE_WEIGHT_SCALE:
            self._scale = self._append(self._scale, rows)
        elif role == _ROLES.TENSOR_ROLE_LORA_ALPHA:
            self._parts["alpha"] = rows.reshape(1, 1).astype(np.float64)
        elif role == _ROLES.TENSOR_ROLE_LORA_DOWN:
            self._parts["au"] = self._append(self._parts.get("au"), rows @ u)
        elif role == _ROLES.TENSOR_ROLE_LORA_UP:
            self._sum("vb", v[:, span] @ rows)
        else:
            if self._scale is not None:
                rows = rows * (self._scale if len(self._scale) == 1 else self._scale[span])
            if turned:
                begin, end = self._probes.rows or (0, rows.shape[1])
                self._sum("z", (v @ rows[:, begin:end].T) @ u[span])
            else:
                self._sum("z", v[:, span] @ (rows @ u))

    def state(self) -> Dict[str, FloatArray]:
        """The parts by name."""
        return {name: np.ascontiguousarray(part, np.float32) for name, part in self._parts.items()}

    def _sum(self, name: str, part: FloatArray) -> None:
        known = self._parts.get(name)
        self._parts[name] = part.astype(np.float64) if known is None else known + part

    @staticmethod
    def _append(known: Optional[Any], rows: FloatArray) -> Any:
        return rows if known is None else np.concatenate((known, rows))


def project(
    plan: embedding_service_pb2.PlannedModel,
    probes: Mapping[str, Probes],
    read: Reader,
    count: Callable[[int], None] = lambda _: None,
) -> "Tuple[List[Dict[str, FloatArray]], bytes, int]":
    """Reads what a plan wants once, and sums it up for every target.

    Memory: 4 MiB of rows, widened, and the sums.

    Args:
        plan: what to read, and for whom.
        probes: by space id.
        read: gives a tensor's bytes.
        count: hears how many bytes were read.

    Returns:
        per target the parts of its sums by name; the digest of the layer; the rows that were projected.
    """
    sums = [_Sums(probes[target.space_id]) for target in plan.targets]
    digest = UploadDigest()
    row_count = 0
    for index, item in enumerate(plan.tensors):
        uses = [
            (at, use.role)
            for at, target in enumerate(plan.targets)
            for use in target.uses
            if use.tensor_index == index
        ]
        if not uses:
            raise ProbestreamError("INTERNAL", f'the plan wants "{item.tensor.name}" for no expert')
        reader, role = uses[0]
        columns = _columns(item, role, probes[plan.targets[reader].space_id])
        first = 0
        for block in _blocks(item, columns, read, digest, count):
            rows = widen(block, item.tensor.dtype).reshape(-1, columns)
            _assert_finite(rows, item, first, columns)
            for at, role in uses:
                sums[at].add(role, first, rows)
            first += len(rows)
        digest.end_range()
        row_count += first
    return [each.state() for each in sums], digest.finish(), row_count


def _columns(item: types_pb2.TensorRange, role: int, probes: Probes) -> int:
    """Numbers in a row of the stored matrix."""
    shape = [int(extent) for extent in item.tensor.shape]
    if role in (_ROLES.TENSOR_ROLE_WEIGHT_SCALE, _ROLES.TENSOR_ROLE_LORA_ALPHA):
        return 1
    if role != _ROLES.TENSOR_ROLE_WEIGHT:
        return int(np.prod(shape[1:], dtype=object))
    width = int(probes.u.shape[0])
    return int(np.prod(shape, dtype=object)) // width if probes.layout == "transposed" else width


def _blocks(
    item: types_pb2.TensorRange, columns: int, read: Reader, digest: UploadDigest, count: Callable[[int], None]
) -> Iterator[memoryview]:
    """Whole rows of a range, some MiB at a time; a block is overwritten by the next."""
    row_bytes = columns * ITEM_BYTES[item.tensor.dtype]
    size = max(1, _BLOCK_BYTES // row_bytes) * row_bytes
    block = memoryview(bytearray(min(size, item.end_byte - item.begin_byte)))
    filled = 0
    for piece in read(item.tensor.name, item.begin_byte, item.end_byte):
        digest.update(piece)
        count(len(piece))
        at = 0
        while at < len(piece):
            taken = min(len(piece) - at, len(block) - filled)
            block[filled : filled + taken] = piece[at : at + taken]
            filled, at = filled + taken, at + taken
            if filled == len(block):
                yield block
                filled = 0
    if filled > 0:
        yield block[:filled]


def _assert_finite(rows: FloatArray, item: types_pb2.TensorRange, first: int, columns: int) -> None:
    finite = np.isfinite(rows)
    if finite.all():
        return
    row, column = (int(at) for at in np.argwhere(~finite)[0])
    value = rows[row, column]
    row += first + item.begin_byte // (columns * ITEM_BYTES[item.tensor.dtype])
    name = item.tensor.name
    message = f'tensor "{name}" has {value} at row {row}, column {column}; weights must be finite float32 numbers'
    raise ProbestreamError("NON_FINITE", message, {"tensor": name, "row": row, "column": column, "value": value})
