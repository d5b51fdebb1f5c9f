"""One EmbedModel call: messages go in one after another, and one answer comes."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Deque, Iterator, Optional

from probestream.connection import Connection, result_of
from probestream.gen.v1 import embedding_service_pb2
from probestream.stopping import Stop

_METHOD = "/probestream.v1.EmbeddingService/EmbedModel"

#: Messages and bytes that wait for the transport: one chunk beside the one that it takes now, or many small messages.
_WAITING_MESSAGES = 64
_WAITING_BYTES = 1024 * 1024


class EmbedStream:
    """Hands messages to the transport as fast as it takes them. Memory: two chunks."""

    def __init__(self, connection: Connection, stop: Stop) -> None:
        self._connection = connection
        self._stop = stop
        self._changed = threading.Condition()
        self._waiting: Deque[bytes] = deque()
        self._waiting_bytes = 0
        self._ended = False
        self.answered = False
        method = connection.channel.stream_unary(
            _METHOD,
            # Chunks are encoded by hand; see encode_chunk.
            request_serializer=None,
            response_deserializer=embedding_service_pb2.EmbedModelResponse.FromString,
        )
        self._call: Any = method.future(self._messages(), timeout=stop.remaining, metadata=connection.metadata)
        self._call.add_done_callback(self._on_done)
        self._forget = stop.on_stop(self.abort)

    def write(self, message: bytes) -> None:
        """Waits until the transport takes more. Once the server has answered, what is written is lost."""
        with self._changed:
            while (
                not self.answered
                and self._waiting
                and (len(self._waiting) >= _WAITING_MESSAGES or self._waiting_bytes + len(message) > _WAITING_BYTES)
            ):
                self._wait()
            self._waiting.append(message)
            self._waiting_bytes += len(message)
            self._changed.notify_all()
        self._stop.check()

    def finish(self) -> embedding_service_pb2.EmbedModelResponse:
        """Ends the stream and waits for the answer."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            while not self.answered:
                self._wait()
        self._forget()
        answer: embedding_service_pb2.EmbedModelResponse = result_of(self._call, self._connection, self._stop)
        return answer

    def abort(self) -> None:
        """Gives up: nothing unfinished is committed."""
        self._call.cancel()
        self._forget()

    def _wait(self) -> None:
        """Waits for a change; looks now and then whether all shall stop, in case nobody else does."""
        self._changed.wait(0.25)
        if self._stop.reason is not None and not self.answered:
            self._call.cancel()

    def _on_done(self, _: Any) -> None:
        with self._changed:
            self.answered = True
            self._changed.notify_all()

    def _messages(self) -> Iterator[bytes]:
        """What the transport's thread takes messages from."""
        while True:
            with self._changed:
                while not self._waiting and not self._ended and not self.answered:
                    self._changed.wait()
                if self.answered or not self._waiting:
                    return
                message: Optional[bytes] = self._waiting.popleft()
                self._waiting_bytes -= len(message or b"")
                self._changed.notify_all()
            yield message  # type: ignore[misc]
            message = None


def encode_chunk(tensor_index: int, offset: int, data: memoryview) -> bytes:
    """EmbedModelRequest{chunk} in one copy of the data, where the generated code makes two."""
    inner = (b"" if tensor_index == 0 else b"\x08" + _varint(tensor_index)) + (
        b"" if offset == 0 else b"\x10" + _varint(offset)
    )
    inner += b"\x1a" + _varint(len(data))
    return b"".join((b"\x12", _varint(len(inner) + len(data)), inner, data))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
