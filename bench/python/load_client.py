"""Streams a made-up layer to a server over Debian's grpcio and prints one JSON object per upload.

usage: load_client.py --target HOST:PORT --rows N --columns N [--dtype F32|F16|BF16] [--expert NAME | --space-id ID] ...

The rate counts the EmbedModel call, from its start to its answer; megabytes and gigabytes are powers of ten. Client CPU
is that of the whole process during the call.
"""
import argparse
import json
import resource
import sys
import time

import grpc
import numpy as np

from stubs import import_stubs
from weights import ELEMENT_BYTES, SEGMENT_BYTES, RepeatedLayer

PB = import_stubs()
HEADER, CHUNK, FOOTER = PB.messages.EmbedModelHeader, PB.messages.EmbedModelChunk, PB.messages.EmbedModelFooter
# grpcio heeds http_proxy even for 127.0.0.1 unless told not to.
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 4 * 1024 * 1024)]


def main():
    """Parses the options, uploads `--repeat` times and prints what came of it."""
    options = _parse_options()
    total = options.rows * options.columns * ELEMENT_BYTES[options.dtype]
    layer = RepeatedLayer(options.dtype, total, options.seed)
    digest = layer.digest() if options.digest else b""
    with grpc.insecure_channel(options.target, OPTIONS) as channel:
        stub = PB.services.EmbeddingServiceStub(channel)
        for _ in range(options.repeat):
            planned = _plan(stub, options)
            if options.stop_after is not None:
                print(json.dumps(_upload_in_part(stub, planned, layer, options)), flush=True)
            else:
                print(json.dumps(_upload(stub, planned, layer, digest, options)), flush=True)


def _plan(stub, options):
    """Asks for the plan of a model with one dense tensor, and checks that all of it is wanted."""
    wanted = [name for name in (options.space_id, options.expert) if name]
    tensor = PB.types.TensorInfo(
        name=options.tensor, dtype=getattr(PB.types, f"DTYPE_{options.dtype}"), shape=[options.rows, options.columns]
    )
    manifest = PB.types.Manifest(model_id="load", tensors=[tensor], experts=wanted)
    response = stub.PlanEmbedding(PB.messages.PlanEmbeddingRequest(manifests=[manifest]), timeout=60)
    (plan,) = response.plans
    if plan.WhichOneof("outcome") != "planned":
        raise SystemExit(f"no plan: {plan.error.message}")
    return plan.planned


def _upload(stub, planned, layer, digest, options):
    """Streams the whole layer and returns figures and the start of the representation."""
    total = sum(entry.end_byte - entry.begin_byte for entry in planned.tensors)
    if total != layer.total_bytes:
        raise SystemExit(f"the server wants {total} bytes, the layer has {layer.total_bytes}")
    cpu_before, start = _cpu_seconds(), time.perf_counter()
    messages = _messages(planned, layer, digest, options.chunk_bytes, layer.total_bytes)
    response = stub.EmbedModel(messages, timeout=options.timeout)
    seconds, cpu = time.perf_counter() - start, _cpu_seconds() - cpu_before
    (result,) = response.results
    if result.WhichOneof("outcome") != "embedding":
        raise SystemExit(f"no embedding: {result.error.message}")
    embedding = result.embedding
    if embedding.bytes_total != total:
        raise SystemExit(f"the server counted {embedding.bytes_total} bytes of {total}")
    values = np.frombuffer(embedding.embeddings[0].representation, "<f4")
    timings = embedding.timings
    return {
        "bytes": total,
        "seconds": round(seconds, 6),
        "mb_per_s": round(total / seconds / 1e6, 3),
        "client_cpu_s_per_gb": round(cpu / total * 1e9, 4),
        "representation": [float(value) for value in values[: options.values]],
        "backends": [f"{use.name} ({use.device})" for use in embedding.backends],
        "timings_s": {
            name: round(getattr(timings, name).ToMicroseconds() / 1e6, 6) for name in timings.DESCRIPTOR.fields_by_name
        },
    }


def _upload_in_part(stub, planned, layer, options):
    """Sends the first bytes and ends the stream without a footer, as a warm-up does; the server must refuse it."""
    sent = min(options.stop_after, layer.total_bytes)
    aborted = grpc.StatusCode.ABORTED
    try:
        response = stub.EmbedModel(_messages(planned, layer, None, options.chunk_bytes, sent), timeout=options.timeout)
        code, message = response.results[0].error.code, response.results[0].error.message
    except grpc.RpcError as error:
        # A server may refuse the model or the whole call.
        code, message = error.code().value[0], error.details()
    if code != aborted.value[0]:
        raise SystemExit(f"an upload without a footer was answered with code {code}, not {aborted.name}: {message}")
    return {"bytes": sent, "refused": message}


def _messages(planned, layer, digest, chunk_bytes, end):
    """Header, chunks up to byte `end`, and the footer unless the digest is None."""
    request = PB.messages.EmbedModelRequest
    yield request(
        header=HEADER(
            model_id="load", upload_id=planned.upload_id, tensors=planned.tensors, space_ids=[target.space_id for target in planned.targets],
            routed=planned.routed,
        )
    )
    offset = 0
    while offset < end:
        data = layer.chunk(offset, min(chunk_bytes, end - offset))
        yield request(chunk=CHUNK(tensor_index=0, offset=offset, data=data.tobytes()))
        offset += len(data)
    if digest is not None:
        yield request(footer=FOOTER(total_bytes=layer.total_bytes, digest=digest))


def _cpu_seconds():
    """User and system time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _parse_options():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True, help="HOST:PORT of the server")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--columns", type=int, required=True)
    parser.add_argument("--dtype", choices=sorted(ELEMENT_BYTES), default="F32")
    parser.add_argument("--tensor", default="layer.weight", help="name of the tensor (default: %(default)s)")
    parser.add_argument("--chunk-bytes", type=int, default=1024 * 1024 - 4096, help="default: 1 MiB - 4 KiB")
    parser.add_argument("--digest", action=argparse.BooleanOptionalAction, default=True, help="send a digest")
    parser.add_argument("--expert", help="name of the expert wanted")
    parser.add_argument("--space-id", help="space id of the expert wanted")
    parser.add_argument("--repeat", type=int, default=1, help="uploads, one after another")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--values", type=int, default=8, help="numbers of the representation to print")
    parser.add_argument("--timeout", type=float, default=3600, help="deadline of an upload, in seconds")
    parser.add_argument("--stop-after", type=int, help="send so many bytes and no footer: a warm-up")
    options = parser.parse_args()
    if not 1 <= options.chunk_bytes <= SEGMENT_BYTES:
        parser.error(f"--chunk-bytes must lie between 1 and {SEGMENT_BYTES}")
    return options


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as failure:
        sys.exit(f"{failure.code().name}: {failure.details()}")
