"""The numbers of an expert: read from its folder by the letter of both formats, or random."""
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HEADER_BYTES_LIMIT = 100_000_000


@dataclass
class Expert:
    """U (d_W x r_U), V (r_V x d_H), M (r_T x r_U*r_V) and b (r_T), float32."""

    u: np.ndarray
    v: np.ndarray
    m: np.ndarray
    b: np.ndarray

    def represent(self, z):
        """Representation of a projection Z (r_V x r_U): M relu(Z) + b, Z flattened probe-major."""
        return self.m @ np.maximum(z, 0).T.ravel() + self.b


def read_expert(folder):
    """Reads expert.json and the float32 state dict it names."""
    manifest = json.loads((Path(folder) / "expert.json").read_text())
    with open(Path(folder) / manifest["weights"], "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > HEADER_BYTES_LIMIT:
            raise SystemExit(f"{manifest['weights']}: a header of {length} bytes is longer than the format allows")
        header = json.loads(file.read(length))
        data = file.read()
    names = ("probes.weight", "shared_probe_proj.weight", "per_probe_encoders.weight", "per_probe_encoders.bias")
    return Expert(*(_tensor(data, header[name], name) for name in names))


def random_expert(rows, columns, width, seed):
    """An expert of `width` probes, projection and representation, scaled so that results stay near 1."""
    draw = np.random.default_rng(seed).standard_normal
    return Expert(
        draw((columns, width), dtype=np.float32) / np.float32(columns**0.5),
        draw((width, rows), dtype=np.float32) / np.float32(rows**0.5),
        draw((width, width * width), dtype=np.float32) / np.float32(width),
        draw(width, dtype=np.float32),
    )


def _tensor(data, entry, name):
    """One float32 tensor of a safetensors file."""
    if entry["dtype"] != "F32":
        raise SystemExit(f"{name} is {entry['dtype']}; this reader knows F32 only")
    begin, end = entry["data_offsets"]
    return np.frombuffer(data, np.dtype("<f4"), (end - begin) // 4, begin).reshape(entry["shape"])
