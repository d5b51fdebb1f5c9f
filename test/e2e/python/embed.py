"""Plans and embeds one layer over Debian's grpcio and prints its representation as JSON.

usage: embed.py TARGET TENSOR ROWS COLUMNS CHUNK_BYTES < float32 bytes
"""
import hashlib
import json
import struct
import sys
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bench" / "python"))
from stubs import import_stubs  # noqa: E402

PB = import_stubs()
SEGMENT_BYTES = 8 * 1024 * 1024


def main():
    """Talks to the server as any Python program would."""
    target, name, rows, columns, chunk_bytes = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    data = sys.stdin.buffer.read()
    # grpcio heeds http_proxy even for 127.0.0.1 unless told not to.
    with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
        stub = PB.services.EmbeddingServiceStub(channel)
        tensor = PB.types.TensorInfo(name=name, dtype=PB.types.DTYPE_F32, shape=[rows, columns])
        manifest = PB.types.Manifest(model_id="python", tensors=[tensor])
        (plan,) = stub.PlanEmbedding(PB.messages.PlanEmbeddingRequest(manifests=[manifest]), timeout=30).plans
        if plan.WhichOneof("outcome") != "planned":
            raise SystemExit(f"no plan: {plan.error.message}")
        response = stub.EmbedModel(messages(plan.planned, data, chunk_bytes), timeout=30)
    (result,) = response.results
    if result.WhichOneof("outcome") != "embedding":
        raise SystemExit(f"no embedding: {result.error.message}")
    (embedding,) = result.embedding.embeddings
    representation = embedding.representation
    print(json.dumps(struct.unpack(f"<{len(representation) // 4}f", representation)))


def messages(planned, data, chunk_bytes):
    """Header, chunks, footer with the digest."""
    request = PB.messages.EmbedModelRequest
    yield request(
        header=PB.messages.EmbedModelHeader(
            model_id="python",
            upload_id=planned.upload_id,
            tensors=planned.tensors,
            space_ids=[target.space_id for target in planned.targets],
        )
    )
    for offset in range(0, len(data), chunk_bytes):
        chunk = data[offset : offset + chunk_bytes]
        yield request(chunk=PB.messages.EmbedModelChunk(tensor_index=0, offset=offset, data=chunk))
    segments = (data[at : at + SEGMENT_BYTES] for at in range(0, len(data), SEGMENT_BYTES))
    digest = hashlib.sha256(b"".join(hashlib.sha256(segment).digest() for segment in segments)).digest()
    yield request(footer=PB.messages.EmbedModelFooter(total_bytes=len(data), digest=digest))


if __name__ == "__main__":
    main()
