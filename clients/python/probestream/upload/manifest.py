"""What a plan is asked for: a model's header, cut down where the server would not take it whole."""

from __future__ import annotations

import re
from typing import Dict, Iterable, Iterator, List, Mapping, Sequence

from probestream.connection import Connection
from probestream.errors import ProbestreamError
from probestream.gen.v1 import expert_service_pb2, expert_service_pb2_grpc, types_pb2
from probestream.sources.dtypes import to_wire
from probestream.sources.file_model import PEFT_CONFIG_KEY
from probestream.sources.model import OpenModel, TensorInfo
from probestream.stopping import Stop

#: Bytes of manifests in one plan call, about; servers take messages of 4 MiB.
PLAN_BYTES = 2 * 1024 * 1024

#: Tensors of a manifest that any server takes.
_CERTAIN_TENSORS = 1024

#: Metadata travel for routing; training logs that some tools store there (up to megabytes) do not.
_MAX_METADATA_CHARACTERS = 1024

# The server reads the scale of LoRA layers in these.
_SCALE_KEYS = (PEFT_CONFIG_KEY, "lora_adapter_metadata")


# What adapters' tensors are called, those of kinds that are not read included: the server says what is wrong with them.
_ADAPTER = re.compile(
    r"lora|lycoris|hada_|lokr_|dora_|ia3_|on_input|oft_|boft_|vera_|spectrum|ranknum|w_norm|\.diff|\.alpha$|\.[ab][12]\.weight$"
)


def to_manifest(
    connection: Connection, model: OpenModel, model_id: str, upload_id: str, experts: Sequence[str], stop: Stop
) -> types_pb2.Manifest:
    """The manifest of a model, whole if the server takes it.

    One with more than 2 MiB, or more tensors than the server allows, is cut down to the tensors that can belong to a
    layer that some expert reads: DeepSeek-V3 in FP8 has 89,000 tensors.

    Raises:
        ProbestreamError: `LAYER_NOT_FOUND` where that leaves none.
    """
    metadata = {
        key: text
        for key, text in model.metadata.items()
        if len(text) <= (PLAN_BYTES // 2 if key in _SCALE_KEYS else _MAX_METADATA_CHARACTERS)
    }
    manifest = types_pb2.Manifest(model_id=model_id, upload_id=upload_id, experts=experts, metadata=metadata)
    count = len(model.tensors)
    most = count if count <= _CERTAIN_TENSORS else connection.limits(stop).max_manifest_tensors
    if count <= most:
        manifest.tensors.extend(map(to_wire_tensor, model.tensors.values()))
        if manifest.ByteSize() <= PLAN_BYTES:
            return manifest
        del manifest.tensors[:]
    modules = _modules(connection, experts, stop)
    wanted = select_tensors(model.tensors, modules)
    if not wanted:
        some = ", ".join(sorted(modules)[:5]) or "it has no experts"
        message = (
            f'none of the {count} tensors of "{model_id}" belongs to a layer that the server\'s experts read: {some}'
        )
        raise ProbestreamError("LAYER_NOT_FOUND", message, {"tensors": count})
    manifest.tensors.extend(map(to_wire_tensor, wanted))
    if manifest.ByteSize() > PLAN_BYTES:
        for key in [key for key in manifest.metadata if key not in _SCALE_KEYS]:
            del manifest.metadata[key]
    return manifest


def to_wire_tensor(tensor: TensorInfo) -> types_pb2.TensorInfo:
    """A tensor's description for the wire."""
    return types_pb2.TensorInfo(name=tensor.name, dtype=to_wire(tensor.dtype), shape=tensor.shape)  # type: ignore[arg-type]


def plan_batches(manifests: Sequence[types_pb2.Manifest], most: int) -> Iterator[List[types_pb2.Manifest]]:
    """Manifests in lists that stay well below the longest message."""
    batch: List[types_pb2.Manifest] = []
    total = 0
    for manifest in manifests:
        size = manifest.ByteSize()
        if batch and (len(batch) >= most or total + size > PLAN_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(manifest)
        total += size
    if batch:
        yield batch


def select_tensors(tensors: Mapping[str, TensorInfo], modules: Iterable[str]) -> List[TensorInfo]:
    """The tensors that can belong to one of these modules: more than an expert reads, never less.

    Dense layers are found by their path. Adapters call modules in many ways, but the path ends alike.
    """
    paths = {path for module in modules for path in (module, re.sub(r"\.weight$", "", module))}
    ends = {f"_{_last_word(path)}_" for path in paths}
    return [
        tensor
        for name, tensor in tensors.items()
        if _belongs(name, paths) or (_ADAPTER.search(name) and any(end in f"_{_flat(name)}_" for end in ends))
    ]


def _belongs(name: str, paths: Iterable[str]) -> bool:
    return name in paths or any(character in "._" and name[:at] in paths for at, character in enumerate(name))


def _flat(name: str) -> str:
    return re.sub(r"[._]+", "_", name)


def _last_word(path: str) -> str:
    words = [word for word in path.split(".") if word and not word.isdigit()]
    return _flat(words[-1]) if words else _flat(path)


def _modules(connection: Connection, experts: Sequence[str], stop: Stop) -> List[str]:
    """Modules of the experts that a request names; of all where it names none, or some that are not there."""
    found: List[expert_service_pb2.Expert] = []
    stub = expert_service_pb2_grpc.ExpertServiceStub(connection.channel)
    token = ""
    while True:
        page = connection.unary(
            stub.ListExperts, expert_service_pb2.ListExpertsRequest(page_size=1000, page_token=token), stop=stop
        )
        found.extend(page.experts)
        token = page.next_page_token
        if not token:
            break
    named: Dict[str, List[expert_service_pb2.Expert]] = {
        reference: [one for one in found if one.name == reference or one.space_id.startswith(reference)]
        for reference in experts
    }
    chosen = found if not named or not all(named.values()) else [one for some in named.values() for one in some]
    return sorted({one.layer.module for one in chosen})
