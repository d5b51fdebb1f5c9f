"""Models in safetensors files, whole or in shards, local, remote or in memory."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import OrderedDict
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import quote, urlsplit, urlunsplit

from probestream.errors import ProbestreamError
from probestream.sources.byte_source import ByteSource, FileSource, MemorySource, to_file_error
from probestream.sources.http_source import HttpSource, is_url
from probestream.sources.model import OpenModel, TensorInfo, no_such_bytes
from probestream.sources.safetensors_header import Header, StoredTensor, read_header
from probestream.stopping import Stop

#: Metadata key under which the text of PEFT's `adapter_config.json` travels: the server reads the LoRA scale in it.
PEFT_CONFIG_KEY = "peft.adapter_config"

_MAX_CONFIG_BYTES = 1024 * 1024
_MAX_INDEX_BYTES = 64 * 1024 * 1024
_MAX_SHARDS = 2048
_MAX_OPEN = 16
_INDEX = ".safetensors.index.json"

Headers = Mapping[str, str]


class FileModel(OpenModel):
    """One file, or the shards that an index names. At most 16 files are open at once."""

    def __init__(self, location: str, open_source: Callable[[str], ByteSource], stop: Stop, remote: bool) -> None:
        self._open_source = open_source
        self._sources: "OrderedDict[str, ByteSource]" = OrderedDict()
        self._places: Dict[str, Tuple[str, StoredTensor]] = {}
        self._fingerprints: Dict[str, Optional[str]] = {}
        self.remote = remote
        try:
            self._read(location, stop)
        except BaseException:
            self.close()
            raise

    def stream(self, name: str, begin: int, end: int, chunk_bytes: int, stop: Stop) -> Iterator[memoryview]:
        path, tensor = self._places.get(name, (self.location, None))
        if tensor is None or not 0 <= begin <= end <= tensor.end - tensor.begin:
            raise no_such_bytes(self.location, name, begin, end)
        yield from self._source(path).stream(tensor.begin + begin, tensor.begin + end, chunk_bytes, stop)

    def close(self) -> None:
        while self._sources:
            self._sources.popitem()[1].close()

    def _read(self, location: str, stop: Stop) -> None:
        shown = _shown(location)
        weights: Optional[Dict[str, str]] = None
        metadata: Dict[str, str] = {}
        paths = [location]
        if shown.endswith(".index.json"):
            if shown.endswith(".bin.index.json"):
                raise ProbestreamError(
                    "FORMAT_REFUSED", f'"{shown}" is an index of pickled files; give a safetensors model'
                )
            weights, metadata = _parse_index(self._read_small(location, _MAX_INDEX_BYTES, stop), shown)
            paths = [_beside(location, shard) for shard in sorted(set(weights.values()))]
        headers = {path: read_header(self._source(path), stop) for path in paths}
        if weights is not None:
            _assert_index_fits(weights, headers, location, shown)
        config = None
        if re.search(r"(?:^|[/\\])adapter_model\.safetensors$", shown):
            config = self._read_config(_beside(location, "adapter_config.json"), stop)
            if config is not None:
                metadata[PEFT_CONFIG_KEY] = config
        for path in paths:
            for name, tensor in headers[path].tensors.items():
                # Tensors that an index leaves out are not part of the model.
                if weights is None or name in weights:
                    self._places[name] = (path, tensor)
            for key, text in headers[path].metadata.items():
                metadata.setdefault(key, text)
        self.location = self._sources[paths[0]].name if weights is None else shown
        self.metadata = metadata
        self.tensors = {
            name: TensorInfo(name, tensor.dtype, tensor.shape) for name, (_, tensor) in self._places.items()
        }
        told: List[Any] = [[self._fingerprints[path], headers[path].digest] for path in paths]
        unidentified = any(self._fingerprints[path] is None for path in paths)
        self.identity = None if unidentified else hashlib.sha256(json.dumps([told, config]).encode()).hexdigest()

    def _source(self, path: str) -> ByteSource:
        source = self._sources.get(path)
        if source is None:
            source = self._open_source(path)
            if self._fingerprints.setdefault(path, source.fingerprint) != source.fingerprint:
                source.close()
                message = f'"{source.name}" has changed since the model was opened; open it again'
                raise ProbestreamError("CORRUPT", message, {"file": source.name})
            self._sources[path] = source
        self._sources.move_to_end(path)
        while len(self._sources) > _MAX_OPEN:
            self._sources.popitem(last=False)[1].close()
        return source

    def _read_small(self, path: str, most: int, stop: Stop) -> bytes:
        source = self._open_source(path)
        try:
            if source.size > most:
                raise ProbestreamError(
                    "LIMIT_EXCEEDED", f'"{source.name}" has {source.size} bytes; at most {most} are read'
                )
            return source.read(0, source.size, stop)
        finally:
            source.close()

    def _read_config(self, path: str, stop: Stop) -> Optional[str]:
        try:
            return self._read_small(path, _MAX_CONFIG_BYTES, stop).decode("utf-8", "replace")
        except ProbestreamError as error:
            if error.reason == "FILE_NOT_FOUND":
                return None
            raise


def open_path(path: str, stop: Stop) -> FileModel:
    """Opens a file, an index of shards, or a folder that holds one model."""
    return FileModel(_to_file(path) if os.path.isdir(path) else path, FileSource, stop, remote=False)


def open_url(url: str, headers: Headers, stop: Stop) -> FileModel:
    """Opens a model behind a URL."""
    try:
        has_host = bool(urlsplit(url).hostname) and urlsplit(url).port != 0
    except ValueError:
        has_host = False
    if not has_host:
        raise ProbestreamError("FIELD_INVALID", "a URL cannot be read; write it as https://HOST/PATH")
    return FileModel(url, lambda location: HttpSource(location, headers, stop), stop, remote=True)


def open_bytes(data: Any, name: str, stop: Stop) -> FileModel:
    """Opens a safetensors file that is in memory."""
    return FileModel(name, lambda _: MemorySource(data, name), stop, remote=False)


def _to_file(folder: str) -> str:
    """The one model of a folder."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        raise to_file_error(error, folder) from error
    indexes = [name for name in names if name.endswith(_INDEX)]
    shard = re.compile(r"-\d{5}-of-\d{5}\.safetensors$")
    files = [name for name in names if name.endswith(".safetensors") and not (indexes and shard.search(name))]
    models = indexes + files
    if len(models) == 1:
        return os.path.join(folder, models[0])
    facts = {"path": folder, "models": len(models)}
    if not models:
        message = f'"{folder}" holds no .safetensors file and no index of shards; name a folder or file that does'
        raise ProbestreamError("FILE_NOT_FOUND", message, facts)
    some = ", ".join(f'"{name}"' for name in models[:8]) + (", …" if len(models) > 8 else "")
    message = f'"{folder}" holds {len(models)} models; name one of them, or give their paths as a list: {some}'
    raise ProbestreamError("FIELD_INVALID", message, facts)


def _parse_index(text: bytes, name: str) -> Tuple[Dict[str, str], Dict[str, str]]:
    """Shards by tensor, and the index's own metadata. Shard names are plain: none leads out of the folder."""
    try:
        root = json.loads(text.decode("utf-8"))
        # Halves of surrogate pairs, which JSON can spell, are no names and no text that can be sent.
        json.dumps(root, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ProbestreamError("HEADER_MALFORMED", f'the index "{name}" is no JSON in UTF-8: {error}') from error
    weights = root.get("weight_map") if isinstance(root, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(shard, str) for shard in weights.values()):
        raise ProbestreamError("HEADER_MALFORMED", f'the index "{name}" has no weight_map of file names')
    shards = set(weights.values())
    if len(shards) > _MAX_SHARDS:
        raise ProbestreamError(
            "LIMIT_EXCEEDED", f'the index "{name}" has {len(shards)} shards; at most {_MAX_SHARDS} are read'
        )
    for shard in shards:
        if shard in ("", ".", "..") or re.search(r"[/\\\0]|^[A-Za-z]:", shard):
            message = f'the index "{name}" names the shard "{shard}"; it must be the name of a file beside it'
            raise ProbestreamError("HEADER_MALFORMED", message)
    told = root.get("metadata")
    pairs = told.items() if isinstance(told, dict) else ()
    return weights, {key: str(value) for key, value in pairs if isinstance(value, (str, int, float))}


def _assert_index_fits(weights: Mapping[str, str], headers: Mapping[str, Header], location: str, name: str) -> None:
    homes: Dict[str, str] = {}
    for path, header in headers.items():
        for tensor in header.tensors:
            if tensor in homes:
                raise _unfit(f'tensor "{tensor}" is in two shards', name)
            homes[tensor] = path
    for tensor, shard in weights.items():
        if homes.get(tensor) != _beside(location, shard):
            raise _unfit(f'tensor "{tensor}" is not in "{shard}"', name)


def _unfit(what: str, name: str) -> ProbestreamError:
    message = f'{what}, against what the index "{name}" says. The files belong to different models or are damaged'
    return ProbestreamError("CORRUPT", message, {"index": name})


def _beside(location: str, name: str) -> str:
    if not is_url(location):
        return os.path.join(os.path.dirname(location), name)
    parts = urlsplit(location)
    return urlunsplit(parts._replace(path=parts.path.rsplit("/", 1)[0] + "/" + quote(name)))


def _shown(location: str) -> str:
    """A location without what a URL may keep secret."""
    if not is_url(location):
        return location
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}{parts.path}"
