"""Measures the Python client: one line of JSON on standard output.

measure.py layer  -target HOST:PORT -expert NAME FILE…      embeds files, each by itself
measure.py bare   -target HOST:PORT -expert NAME -tensor NAME FILE   streams one tensor by the generated stub alone
measure.py models -target HOST:PORT -expert NAME -list FILE          embeds the files that a file names, at once
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import grpc  # noqa: E402

import probestream  # noqa: E402
from probestream.gen.v1 import embedding_service_pb2 as messages  # noqa: E402
from probestream.gen.v1 import embedding_service_pb2_grpc, types_pb2  # noqa: E402
from probestream.sources.byte_source import FileSource  # noqa: E402
from probestream.sources.safetensors_header import read_header  # noqa: E402
from probestream.stopping import Stop  # noqa: E402

CHUNK_BYTES = 1024 * 1024 - 4096


def main():
    """Runs one mode and prints what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("layer", "bare", "models"))
    parser.add_argument("-target", required=True)
    parser.add_argument("-expert", required=True)
    parser.add_argument("-tensor", default="")
    parser.add_argument("-list")
    parser.add_argument("files", nargs="*")
    options = parser.parse_intermixed_args()
    files = options.files + (Path(options.list).read_text("utf-8").split() if options.list else [])
    with probestream.connect(options.target) as client:
        client.server_info()
        idle = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        cpu, begin = cpu_seconds(), time.monotonic()
        if options.mode == "layer":
            results = [client.embed(file, experts=options.expert) for file in files]
        elif options.mode == "models":
            results = client.embed(files, experts=options.expert)
        else:
            results = [bare(options.target, options.expert, options.tensor, files[0])]
        failed = [result.error for result in results if result.error is not None]
        if failed:
            raise failed[0]
        seconds, cpu = time.monotonic() - begin, cpu_seconds() - cpu
    found = {
        "bytes": sum(result.bytes_total for result in results),
        "models": len(results),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "idle_bytes": idle,
        "peak_bytes": resident("VmHWM"),
    }
    print(json.dumps(found))


def bare(target, expert, name, path):
    """What anyone would write with the generated code: read, put into a message, send. No digest."""
    tensor = read_header(FileSource(path), Stop()).tensors[name]
    with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
        stub = embedding_service_pb2_grpc.EmbeddingServiceStub(channel)
        info = types_pb2.TensorInfo(name=name, dtype=types_pb2.DTYPE_F32, shape=tensor.shape)
        manifest = types_pb2.Manifest(model_id="bare", tensors=[info], experts=[expert])
        (plan,) = stub.PlanEmbedding(messages.PlanEmbeddingRequest(manifests=[manifest])).plans

        def requests():
            planned = plan.planned
            spaces = [each.space_id for each in planned.targets]
            header = messages.EmbedModelHeader(
                model_id="bare", upload_id=planned.upload_id, tensors=planned.tensors, space_ids=spaces
            )
            yield messages.EmbedModelRequest(header=header)
            with open(path, "rb") as file:
                file.seek(tensor.begin)
                for offset in range(0, tensor.end - tensor.begin, CHUNK_BYTES):
                    data = file.read(min(CHUNK_BYTES, tensor.end - tensor.begin - offset))
                    yield messages.EmbedModelRequest(chunk=messages.EmbedModelChunk(offset=offset, data=data))
            footer = messages.EmbedModelFooter(total_bytes=tensor.end - tensor.begin)
            yield messages.EmbedModelRequest(footer=footer)

        (result,) = stub.EmbedModel(requests()).results
    if result.WhichOneof("outcome") != "embedding":
        raise SystemExit(result.error.message)
    return probestream.EmbedResult("bare", path, bytes_total=result.embedding.bytes_total)


def resident(field):
    """Bytes that /proc says."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {field}")


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
