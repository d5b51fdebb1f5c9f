"""What projects a layer for an expert, fetched once and kept under the expert's space id."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import threading
import uuid
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from probestream.connection import Connection
from probestream.errors import ProbestreamError
from probestream.gen.v1 import embedding_service_pb2, embedding_service_pb2_grpc, expert_service_pb2
from probestream.results import FloatArray
from probestream.sources.byte_source import FileSource
from probestream.sources.safetensors_header import read_header
from probestream.stopping import Stop

#: The accumulator that this version projects by.
ACCUMULATOR = "probex/1"

# Files are those of the TypeScript client, so that both may keep one folder.
_FORMAT = "probestream-probes/1"

_MOST_BYTES = 4 * 1024**3

_WIRE = expert_service_pb2
_KINDS = {_WIRE.LAYER_KIND_DENSE: "dense", _WIRE.LAYER_KIND_LORA: "lora"}
_LAYOUTS = {
    _WIRE.LAYER_LAYOUT_LINEAR: "linear",
    _WIRE.LAYER_LAYOUT_TRANSPOSED: "transposed",
    _WIRE.LAYER_LAYOUT_CONV: "conv",
    _WIRE.LAYER_LAYOUT_VECTOR: "vector",
}
_SCALES = {_WIRE.LORA_SCALE_NONE: "none", _WIRE.LORA_SCALE_APPLY: "apply"}


@dataclass(frozen=True)
class Probes:
    """An expert's probes: U, d_W × r_U, and V, r_V × d_H, of the layer that it reads."""

    space_id: str
    kind: str
    layout: str
    #: First row of X that is read and one past the last, where the layer is a slice of a packed one.
    rows: Optional[Tuple[int, int]]
    u: FloatArray
    v: FloatArray


def default_folder() -> str:
    """`probestream/probes` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return os.path.join(os.path.expanduser(home), "probestream", "probes")


class ProbeCache:
    """Probes by space id: in memory, else in files that are checked, else from the server."""

    def __init__(self, connection: Connection, folder: str) -> None:
        self._connection = connection
        self._stub = embedding_service_pb2_grpc.EmbeddingServiceStub(connection.channel)
        self._folder = folder
        self._known: Dict[str, Probes] = {}
        self._lock = threading.Lock()

    def get(self, space_id: str, stop: Stop) -> Probes:
        """Probes of an expert; of several who ask, one fetches."""
        if not re.fullmatch("[0-9a-f]{64}", space_id):
            message = f"the server calls an expert {space_id[:80]!r}; a space id has 64 digits of 0-9 and a-f"
            raise ProbestreamError("CORRUPT", message)
        with self._lock:
            known = self._known.get(space_id)
            if known is None:
                path = os.path.join(self._folder, f"{space_id}.safetensors")
                known = _read(path, space_id, stop)
                if known is None:
                    expert, tensors = self._fetch(space_id, stop)
                    known = _to_probes(expert, tensors)
                    _write(path, expert, tensors)
                self._known[space_id] = known
            return known

    def _fetch(self, space_id: str, stop: Stop) -> "Tuple[Dict[str, Any], Dict[str, FloatArray]]":
        request = embedding_service_pb2.GetProbesRequest(space_ids=[space_id])
        opening: Optional[embedding_service_pb2.ExpertProbes] = None
        data = bytearray()
        for message in self._connection.stream(self._stub.GetProbes, request, None, stop):
            if message.WhichOneof("part") == "expert":
                opening = message.expert
            else:
                data += message.chunk.data
            if len(data) > _MOST_BYTES:
                raise ProbestreamError("LIMIT_EXCEEDED", f"the probes are larger than {_MOST_BYTES} bytes")
        if opening is None or opening.space_id != space_id or hashlib.sha256(data).digest() != opening.sha256:
            message_ = f"the probes of the expert {space_id[:12]} were damaged on the way; fetch them again"
            raise ProbestreamError("CORRUPT", message_)
        tensors: Dict[str, FloatArray] = {}
        at = 0
        for tensor in opening.tensors:
            count = int(np.prod(tensor.shape, dtype=object))
            if at + 4 * count > len(data):
                raise ProbestreamError("CORRUPT", f"the probes of the expert {space_id[:12]} ended early")
            values = np.frombuffer(data, "<f4", count, at).astype(np.float32)
            tensors[tensor.name] = values.reshape(tuple(tensor.shape))
            at += 4 * count
        return _to_expert(opening), tensors


def _to_expert(opening: embedding_service_pb2.ExpertProbes) -> Dict[str, Any]:
    """What is kept of an expert beside its tensors."""
    layer = opening.layer
    known: Dict[str, Any] = {
        "module": layer.module,
        "kind": _KINDS.get(layer.kind, "unknown"),
        "layout": _LAYOUTS.get(layer.layout, "unknown"),
        "loraScale": _SCALES.get(layer.lora_scale, "unknown"),
        "shape": {"rows": opening.layer_rows, "columns": opening.layer_columns},
    }
    if layer.HasField("row_end"):
        known["rows"] = {"begin": layer.row_begin, "end": layer.row_end}
    return {
        "spaceId": opening.space_id,
        "name": opening.expert_name,
        "layer": known,
        "accumulator": opening.accumulator,
    }


def _to_probes(expert: Mapping[str, Any], tensors: Mapping[str, FloatArray]) -> Probes:
    """Probes that this version projects by."""
    name, layer = expert["name"], expert["layer"]
    if expert["accumulator"] != ACCUMULATOR or "unknown" in layer.values():
        message = (
            f'the expert "{name}" projects by "{expert["accumulator"][:80]}", or reads a layer of a kind that this'
            f" version does not know; it knows {ACCUMULATOR}: install a newer one, or stream the weights"
        )
        raise ProbestreamError("FORMAT_REFUSED", message)
    u, v = tensors.get("u"), tensors.get("v")
    rows, columns = layer["shape"]["rows"], layer["shape"]["columns"]
    if u is None or v is None or u.ndim != 2 or v.ndim != 2 or u.shape[0] != columns or v.shape[1] != rows:
        raise ProbestreamError("SHAPE_MISMATCH", f'the probes of the expert "{name}" do not fit its layer')
    if not (np.isfinite(u).all() and np.isfinite(v).all()):
        raise ProbestreamError("NON_FINITE", f'the probes of the expert "{name}" hold NaN or infinity')
    sliced = layer.get("rows")
    return Probes(
        expert["spaceId"],
        layer["kind"],
        layer["layout"],
        None if sliced is None else (sliced["begin"], sliced["end"]),
        u,
        v,
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _digest(expert: str, tensors: Mapping[str, FloatArray]) -> str:
    """Over the facts, then per tensor by name its shape and bytes."""
    found = hashlib.sha256(_json([_FORMAT, expert]).encode())
    for name in sorted(tensors):
        values = tensors[name]
        found.update(_json([name, "F32", list(values.shape)]).encode())
        found.update(np.ascontiguousarray(values, "<f4").data)
    return found.hexdigest()


def _read(path: str, space_id: str, stop: Stop) -> Optional[Probes]:
    """Probes of a file; None if it is not there or damaged: then they are fetched."""
    try:
        source = FileSource(path)
    except ProbestreamError:
        return None
    try:
        header = read_header(source, stop)
        tensors = {}
        for tensor in header.tensors.values():
            data = source.read(tensor.begin, tensor.end, stop)
            tensors[tensor.name] = np.frombuffer(data, "<f4").astype(np.float32).reshape(tensor.shape)
        expert = header.metadata.get("expert", "")
        if header.metadata.get("format") != _FORMAT or header.metadata.get("digest") != _digest(expert, tensors):
            return None
        known = json.loads(expert)
        return _to_probes(known, tensors) if known["spaceId"] == space_id else None
    except (ProbestreamError, ValueError, KeyError, TypeError):
        stop.check()
        return None
    finally:
        source.close()


def _write(path: str, expert: Mapping[str, Any], tensors: Mapping[str, FloatArray]) -> None:
    """Writes a file by renaming, so that others find all of it or nothing."""
    text = _json(expert)
    header: Dict[str, Any] = {
        "__metadata__": {"format": _FORMAT, "expert": text, "digest": _digest(text, tensors)},
    }
    parts: List[bytes] = []
    at = 0
    for name in sorted(tensors):
        data = np.ascontiguousarray(tensors[name], "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    packed = json.dumps(header).encode()
    packed += b" " * (-len(packed) % 8)
    temporary = f"{path}.{uuid.uuid4().hex}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(struct.pack("<Q", len(packed)) + packed)
            for part in parts:
                file.write(part)
        os.replace(temporary, path)
    except OSError as error:
        folder = os.path.dirname(path)
        message = f"probes could not be written to {folder}: {error.strerror}; choose another folder (probes=)"
        raise ProbestreamError("ACCESS_DENIED", message, {"path": path}) from error
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
