"""Formats that are not safetensors, known by how they begin."""

from __future__ import annotations

import os
from typing import Optional, Tuple

from probestream.errors import ProbestreamError

_PICKLE = (
    "a pickled file, or a PyTorch archive with one in it",
    "pickles can run code when they are read. Load it where you trust it, and give the arrays: "
    'client.embed(torch.load(path, map_location="cpu", weights_only=True))',
)
_OTHER = ("no safetensors file", "save the model as safetensors with the library that wrote it")

_MAGICS: Tuple[Tuple[bytes, Tuple[str, str]], ...] = (
    *((bytes((0x80, protocol)), _PICKLE) for protocol in range(2, 6)),
    (b"PK\x03\x04", _PICKLE),
    (b"GGUF", ("a GGUF file, whose weights are mostly quantised", "give the safetensors file that it was made from")),
    (b"\x89HDF\r\n\x1a\n", ("an HDF5 file", _OTHER[1])),
    (b"\x93NUMPY", ("a NumPy file", "give its arrays by name: client.embed(dict(numpy.load(path)))")),
    (b"version https://git-lfs", ("a Git LFS pointer, not the file itself", "fetch the file with `git lfs pull`")),
    (b"<", ("a web page", "give the address of the file itself (on Hugging Face the one with /resolve/ in it)")),
)

_EXTENSIONS = {
    **dict.fromkeys((".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"), _PICKLE),
    **dict.fromkeys((".gguf", ".ggml", ".h5", ".onnx", ".msgpack", ".tar", ".zip", ".npy", ".npz"), _OTHER),
}


def assert_safetensors(prefix: bytes, name: str) -> None:
    """Refuses what is known not to be safetensors. Content decides before the name."""
    found = _recognise(prefix, name)
    if found is None:
        return
    what, advice = found
    raise ProbestreamError(
        "FORMAT_REFUSED", f'"{name}" is {what}; safetensors is read: {advice}', {"file": name, "format": what}
    )


def _recognise(prefix: bytes, name: str) -> Optional[Tuple[str, str]]:
    # First, for a header of 640 bytes begins with 0x80 0x02, as a pickle does.
    if len(prefix) > 8 and prefix[8:9] == b"{" and prefix[7:8] == b"\0":
        return None
    for magic, found in _MAGICS:
        if prefix.startswith(magic):
            return found
    return _EXTENSIONS.get(os.path.splitext(name)[1].lower())
