"""Sends one model through a stream."""

from __future__ import annotations

from typing import Optional

from probestream.digests import UploadDigest, have_digests
from probestream.errors import ProbestreamError
from probestream.gen.v1 import embedding_service_pb2, types_pb2
from probestream.stopping import Stop
from probestream.upload.embed_stream import EmbedStream, encode_chunk
from probestream.upload.upload import Planned, Upload, wanted_bytes

#: 1 MiB - 4 KiB: what travels best, where the plan does not say.
CHUNK_BYTES = 1024 * 1024 - 4096


class SourceFailure(Exception):
    """A model could not be read on this side; its stream is sound."""

    def __init__(self, error: ProbestreamError) -> None:
        super().__init__(str(error))
        self.error = error


def check_start(upload: Upload, plan: Planned, stop: Stop) -> None:
    """Checks that what an earlier upload brought is what the file holds.

    Local files are read again, which is cheaper than to find out at the end; of remote ones, whose state their ETag
    tells, the server's digests are believed.
    """
    if upload.model.remote:
        return
    for item, start in zip(plan.tensors, plan.starts):
        if start.offset == 0:
            continue
        name = item.tensor.name
        try:
            pieces = upload.model.stream(name, item.begin_byte, item.begin_byte + start.offset, CHUNK_BYTES, stop)
            are_equal = have_digests(pieces, start.segment_digests)
        except ProbestreamError as error:
            stop.check()
            raise SourceFailure(error) from error
        if not are_equal:
            message = f'the first {start.offset} bytes of "{name}" are not those of the upload that was to be resumed'
            raise SourceFailure(ProbestreamError("DIGEST_MISMATCH", message, {"tensor": name, "offset": start.offset}))


def send_model(
    stream: EmbedStream, upload: Upload, plan: Planned, texts: Optional[types_pb2.FloatMatrix], stop: Stop
) -> None:
    """Sends header, chunks and footer. Stops where the server has answered already.

    Memory: the chunk that is read, besides those in the stream.

    Raises:
        SourceFailure: the model cannot be read to its end: its stream takes no further model.
    """
    stream.write(_header(upload, plan, texts).SerializeToString())
    digest = UploadDigest()
    chunk_bytes = plan.chunk_bytes or CHUNK_BYTES
    for index, item in enumerate(plan.tensors):
        start = plan.starts[index] if index < len(plan.starts) else embedding_service_pb2.TensorStart()
        digest.add_segments(start.segment_digests)
        offset = start.offset
        pieces = upload.model.stream(item.tensor.name, item.begin_byte + offset, item.end_byte, chunk_bytes, stop)
        while True:
            try:
                piece = next(pieces, None)
            except ProbestreamError as error:
                stop.check()
                raise SourceFailure(error) from error
            if piece is None:
                break
            if stream.answered:
                return
            # While the transport takes the last one: both let other threads run.
            digest.update(piece)
            stream.write(encode_chunk(index, offset, piece))
            offset += len(piece)
            upload.count(len(piece))
        digest.end_range()
    footer = embedding_service_pb2.EmbedModelFooter(total_bytes=wanted_bytes(plan), digest=digest.finish())
    stream.write(embedding_service_pb2.EmbedModelRequest(footer=footer).SerializeToString())


def _header(
    upload: Upload, plan: Planned, texts: Optional[types_pb2.FloatMatrix]
) -> embedding_service_pb2.EmbedModelRequest:
    header = embedding_service_pb2.EmbedModelHeader(
        model_id=upload.model_id,
        upload_id=plan.upload_id,
        tensors=plan.tensors,
        space_ids=[target.space_id for target in plan.targets],
        start_offsets=[start.offset for start in plan.starts],
        routed=plan.routed,
        text_vectors=texts,
        index=upload.index,
    )
    return embedding_service_pb2.EmbedModelRequest(header=header)
