"""Python messages and stubs of the contract, generated with protoc and grpc_python_plugin at first use.

Needs Debian's python3-grpcio, python3-protobuf, protobuf-compiler and protobuf-compiler-grpc. The generated files lie in
.cache/python-stubs-<hash of the proto files> of the repository, or in the folder that PROBESTREAM_STUBS names.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"


def import_stubs():
    """Returns the modules of the contract: `messages` and `services` of the embedding service, `types`."""
    folder = _generated_folder()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    from probestream.v1 import embedding_service_pb2, embedding_service_pb2_grpc, types_pb2

    return SimpleNamespace(messages=embedding_service_pb2, services=embedding_service_pb2_grpc, types=types_pb2)


def _generated_folder():
    """Generates the stubs unless a run before did, and returns their folder."""
    files = sorted((PROTO / "probestream" / "v1").glob("*.proto"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    base = Path(os.environ.get("PROBESTREAM_STUBS", ROOT / ".cache"))
    folder = base / f"python-stubs-{digest}"
    if folder.is_dir():
        return folder
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as work:
        target = Path(work) / "stubs"
        target.mkdir()
        _run_protoc(files, target, Path(work) / "well_known.binpb")
        try:
            # At once, because several clients may start together.
            target.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    return folder


def _run_protoc(files, target, well_known):
    """Runs protoc. Debian ships it without google/protobuf/*.proto, so their descriptors come from the Python package."""
    from google.protobuf import descriptor_pb2, duration_pb2

    plugin = shutil.which("grpc_python_plugin")
    if plugin is None or shutil.which("protoc") is None:
        raise SystemExit("protoc or grpc_python_plugin is missing: apt-get install protobuf-compiler protobuf-compiler-grpc")
    known = descriptor_pb2.FileDescriptorSet()
    duration_pb2.DESCRIPTOR.CopyToProto(known.file.add())
    well_known.write_bytes(known.SerializeToString())
    command = [
        "protoc",
        f"--descriptor_set_in={well_known}",
        f"-I{PROTO}",
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        f"--plugin=protoc-gen-grpc_python={plugin}",
        *(str(path.relative_to(PROTO)) for path in files),
    ]
    subprocess.run(command, check=True, cwd=PROTO)


if __name__ == "__main__":
    print(_generated_folder())
