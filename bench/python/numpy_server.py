"""The peer to compare with: EmbeddingService on Debian's grpcio, the same product with numpy and OpenBLAS.

usage: numpy_server.py [--expert FOLDER | --rows N --columns N] [--listen 127.0.0.1:0] [--threads 1|2] [--no-project]

Per model: order and length checks, segment digests, Z += V[:, rows] (X[rows] U) per block of whole rows, then the head.
A second thread hashes and multiplies while the call's thread copies the next block, as a careful author would have it;
hashlib and OpenBLAS release the interpreter's lock. One dense tensor per model; no resumption, no NaN check.
"""
import argparse

from fast_blas import measure_blas, use_fast_blas


def parse_options():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--expert", help="expert folder; without it, random probes of --rows x --columns")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--columns", type=int)
    parser.add_argument("--width", type=int, default=128, help="random probes: r_U = r_V = r_T (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--threads", type=int, choices=[1, 2], default=1, help="BLAS threads (default: %(default)s)")
    parser.add_argument("--block-bytes", type=int, default=4 * 1024 * 1024, help="size of a row block (default: 4 MiB)")
    parser.add_argument("--no-project", action="store_true", help="all but the product")
    options = parser.parse_args()
    if options.expert is None and (options.rows is None or options.columns is None):
        parser.error("give --expert, or --rows and --columns")
    return options


OPTIONS = parse_options()
use_fast_blas(OPTIONS.threads)

# Below the restart, so that numpy loads OpenBLAS with the right settings.
import hashlib  # noqa: E402
import queue  # noqa: E402
import threading  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402

import grpc  # noqa: E402
import numpy as np  # noqa: E402

from expert_folder import random_expert, read_expert  # noqa: E402
from stubs import import_stubs  # noqa: E402
from weights import SEGMENT_BYTES  # noqa: E402

PB = import_stubs()
NUMPY_DTYPES = {PB.types.DTYPE_F32: "<f4", PB.types.DTYPE_F16: "<f2", PB.types.DTYPE_BF16: "<u2"}
SPACE_ID = "0" * 64
BLOCKS = 3


class Projection:
    """The running sum over one dense tensor. `add` takes bytes in order; a thread of its own hashes and multiplies."""

    def __init__(self, expert, shape, dtype, project, block_bytes):
        rows, columns = shape
        self._expert, self._project = expert, project
        self._columns, self._dtype = columns, dtype
        self.row_bytes = columns * np.dtype(NUMPY_DTYPES[dtype]).itemsize
        self.total_bytes = rows * self.row_bytes
        self.bytes_seen = self._rows_done = self._segment_bytes = 0
        self._sum = np.zeros((expert.v.shape[0], expert.u.shape[1]), np.float32)
        self._segment, self._digests = hashlib.sha256(), []
        block_rows = max(1, block_bytes // self.row_bytes)
        self._right = np.empty((block_rows, expert.u.shape[1]), np.float32)
        self._wide = np.empty((block_rows, columns), np.float32)
        self._free, self._full = queue.Queue(), queue.Queue()
        for _ in range(BLOCKS):
            self._free.put(np.empty(block_rows * self.row_bytes, np.uint8))
        self._block, self._filled = self._free.get(), 0
        self._failure = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, data):
        """Copies bytes into blocks of whole rows; waits while all blocks are with the worker."""
        source = np.frombuffer(data, np.uint8)
        self.bytes_seen += len(source)
        while len(source):
            count = min(len(source), len(self._block) - self._filled)
            self._block[self._filled : self._filled + count] = source[:count]
            self._filled += count
            source = source[count:]
            if self._filled == len(self._block):
                self._full.put((self._block, self._filled))
                self._block, self._filled = self._free.get(), 0

    def close(self):
        """Ends the sum; returns Z and the digest over all segments."""
        self._full.put((self._block, self._filled))
        self.stop()
        if self._failure is not None:
            raise self._failure
        if self._segment_bytes:
            self._digests.append(self._segment.digest())
        return self._sum, hashlib.sha256(b"".join(self._digests)).digest()

    def stop(self):
        """Ends the worker."""
        self._full.put(None)
        self._thread.join()

    def _work(self):
        """Hashes and multiplies the blocks; after a failure it goes on handing blocks back, so that nobody waits for ever."""
        while (item := self._full.get()) is not None:
            block, length = item
            if self._failure is None:
                try:
                    self._hash(memoryview(block)[:length])
                    if self._project:
                        self._multiply(block[:length])
                except Exception as failure:  # pylint: disable=broad-except
                    self._failure = failure
            self._free.put(block)

    def _hash(self, data):
        """Adds bytes to the digest of their 8 MiB segments."""
        while len(data):
            count = min(len(data), SEGMENT_BYTES - self._segment_bytes)
            self._segment.update(data[:count])
            self._segment_bytes += count
            data = data[count:]
            if self._segment_bytes == SEGMENT_BYTES:
                self._digests.append(self._segment.digest())
                self._segment, self._segment_bytes = hashlib.sha256(), 0

    def _multiply(self, data):
        """Z += V[:, rows] (X[rows] U)."""
        rows = len(data) // self.row_bytes
        x = self._widen(data.view(NUMPY_DTYPES[self._dtype]).reshape(rows, self._columns))
        right = np.matmul(x, self._expert.u, out=self._right[:rows])
        self._sum += self._expert.v[:, self._rows_done : self._rows_done + rows] @ right
        self._rows_done += rows

    def _widen(self, x):
        """Float32 numbers of a block."""
        if self._dtype == PB.types.DTYPE_F32:
            return x
        wide = self._wide[: len(x)]
        if self._dtype == PB.types.DTYPE_F16:
            wide[:] = x
        else:
            np.left_shift(x, 16, out=wide.view(np.uint32), dtype=np.uint32, casting="unsafe")
        return wide


class Embedding(PB.services.EmbeddingServiceServicer):
    """PlanEmbedding wants the one tensor; EmbedModel takes one model or many."""

    def __init__(self, expert, project, block_bytes):
        self._expert, self._project, self._block_bytes = expert, project, block_bytes

    def PlanEmbedding(self, request, context):
        """Wants all of each manifest's first tensor."""
        plans = []
        for manifest in request.manifests:
            tensor = manifest.tensors[0]
            if list(tensor.shape) != [self._expert.v.shape[1], self._expert.u.shape[0]] or tensor.dtype not in NUMPY_DTYPES:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"shape {list(tensor.shape)} or dtype does not fit the expert")
            size = tensor.shape[0] * tensor.shape[1] * np.dtype(NUMPY_DTYPES[tensor.dtype]).itemsize
            use = PB.types.TensorUse(role=PB.types.TENSOR_ROLE_WEIGHT, tensor_index=0)
            planned = PB.messages.PlannedModel(
                tensors=[PB.types.TensorRange(tensor=tensor, begin_byte=0, end_byte=size)],
                targets=[PB.types.EmbeddingTarget(space_id=SPACE_ID, uses=[use])],
                accepted_dtypes=sorted(NUMPY_DTYPES),
                chunk_bytes=1024 * 1024 - 4096,
                upload_id=manifest.upload_id or "numpy-server-upload",
                starts=[PB.messages.TensorStart()],
            )
            plans.append(PB.messages.ModelPlan(model_id=manifest.model_id, planned=planned))
        return PB.messages.PlanEmbeddingResponse(plans=plans)

    def EmbedModel(self, request_iterator, context):
        """Header, chunks, footer, as often as they come."""
        response, header, projection = PB.messages.EmbedModelResponse(), None, None
        try:
            for message in request_iterator:
                part = message.WhichOneof("part")
                if part == "chunk" and projection is not None:
                    chunk = message.chunk
                    if chunk.offset != projection.bytes_seen or chunk.offset + len(chunk.data) > projection.total_bytes:
                        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"a chunk at {chunk.offset} is out of order")
                    projection.add(chunk.data)
                elif part == "header" and projection is None:
                    header, tensor = message.header, message.header.tensors[0].tensor
                    projection = Projection(self._expert, tensor.shape, tensor.dtype, self._project, self._block_bytes)
                elif part == "footer" and projection is not None:
                    response.results.append(self._finish(header, projection, message.footer, context))
                    projection = None
                else:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{part} is out of order")
            if projection is not None:
                context.abort(grpc.StatusCode.ABORTED, "the stream ended without a footer")
            return response
        finally:
            if projection is not None:
                projection.stop()

    def _finish(self, header, projection, footer, context):
        """Checks the footer and makes the representation."""
        if footer.total_bytes != projection.bytes_seen or projection.bytes_seen != projection.total_bytes:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{projection.bytes_seen} bytes came of {projection.total_bytes}")
        z, digest = projection.close()
        if footer.digest and footer.digest != digest:
            context.abort(grpc.StatusCode.DATA_LOSS, "the digest is not that of the bytes that came")
        values = self._expert.represent(z).astype("<f4").tobytes()
        embedding = PB.messages.ModelEmbedding(
            embeddings=[PB.messages.ExpertEmbedding(space_id=SPACE_ID, representation=values)],
            bytes_received=projection.bytes_seen,
            bytes_total=projection.bytes_seen,
            backends=[{"name": "numpy" if self._project else "none", "device": np.__version__}],
        )
        return PB.messages.ModelResult(model_id=header.model_id, upload_id=header.upload_id, embedding=embedding)


def main():
    """Serves until it is killed."""
    rate = measure_blas()
    if OPTIONS.expert is None:
        expert = random_expert(OPTIONS.rows, OPTIONS.columns, OPTIONS.width, OPTIONS.seed)
    else:
        expert = read_expert(OPTIONS.expert)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=8), options=[("grpc.max_receive_message_length", 4 * 1024 * 1024)]
    )
    service = Embedding(expert, not OPTIONS.no_project, OPTIONS.block_bytes)
    PB.services.add_EmbeddingServiceServicer_to_server(service, server)
    port = server.add_insecure_port(OPTIONS.listen)
    server.start()
    host = OPTIONS.listen.rpartition(":")[0]
    print(f"listening on {host}:{port} (numpy, BLAS at {rate:.1f} GFLOP/s with {OPTIONS.threads} threads)", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
