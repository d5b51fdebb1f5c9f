"""Bytes that can be read in any order: of a file or in memory."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, BinaryIO, Iterator, Optional

from probestream.errors import ProbestreamError
from probestream.stopping import Stop


class ByteSource:
    """Bytes with a length and a name that is fit for messages."""

    name: str
    size: int
    #: What identifies the content cheaply; None where nothing does.
    fingerprint: Optional[str] = None

    def read(self, begin: int, end: int, stop: Stop) -> bytes:
        """Bytes `begin` to `end`."""
        return b"".join(bytes(piece) for piece in self.stream(begin, end, 1 << 20, stop))

    def stream(self, begin: int, end: int, chunk_bytes: int, stop: Stop) -> Iterator[memoryview]:
        """The same piece by piece. A piece may be overwritten when the next is asked for."""
        raise NotImplementedError

    def close(self) -> None:
        """Lets go of it."""


class MemorySource(ByteSource):
    """Bytes in memory; they are not copied."""

    def __init__(self, data: Any, name: str) -> None:
        self._view = memoryview(data).cast("B")
        self.name = name
        self.size = len(self._view)

    def stream(self, begin: int, end: int, chunk_bytes: int, stop: Stop) -> Iterator[memoryview]:
        for at in range(begin, end, chunk_bytes):
            stop.check()
            yield self._view[at : min(end, at + chunk_bytes)]


class FileSource(ByteSource):
    """A local file. Memory: one chunk."""

    def __init__(self, path: str) -> None:
        self.name = path
        try:
            # Asked before opening, for opening a named pipe waits until someone writes to it.
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise ProbestreamError(
                    "FIELD_INVALID", f'"{path}" is no file that can be read in any order', {"path": path}
                )
            self._file: BinaryIO = open(path, "rb", buffering=0)
        except OSError as error:
            raise to_file_error(error, path) from error
        except ValueError as error:
            raise ProbestreamError("FIELD_INVALID", f"{path!r} is no path: {error}") from error
        state = os.fstat(self._file.fileno())
        self.size = state.st_size
        self._changed = state.st_mtime_ns
        self.fingerprint = f"{os.path.abspath(path)}\0{state.st_size}\0{state.st_mtime_ns}"

    def read(self, begin: int, end: int, stop: Stop) -> bytes:
        data = bytearray(end - begin)
        self._fill(memoryview(data), begin)
        return bytes(data)

    def stream(self, begin: int, end: int, chunk_bytes: int, stop: Stop) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(chunk_bytes, max(0, end - begin))))
        for at in range(begin, end, chunk_bytes):
            stop.check()
            piece = buffer[: min(end - at, chunk_bytes)]
            self._fill(piece, at)
            yield piece
        if os.fstat(self._file.fileno()).st_mtime_ns != self._changed:
            raise self._corrupt("was written to while it was read")

    def close(self) -> None:
        self._file.close()

    def _fill(self, target: memoryview, begin: int) -> None:
        """Fills a buffer with bytes of the file. It is read by one thread at a time."""
        filled = 0
        try:
            self._file.seek(begin)
            while filled < len(target):
                count = self._file.readinto(target[filled:])  # type: ignore[attr-defined]
                if not count:
                    raise self._corrupt("has become shorter while it was read")
                filled += count
        except OSError as error:
            raise to_file_error(error, self.name) from error

    def _corrupt(self, what: str) -> ProbestreamError:
        return ProbestreamError("CORRUPT", f'"{self.name}" {what}; start again', {"file": self.name})


def to_file_error(error: OSError, path: str) -> ProbestreamError:
    """What the system says of a file."""
    facts = {"path": path}
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ProbestreamError("FILE_NOT_FOUND", f'there is no file "{path}"; check the path', facts)
    if error.errno in (errno.EACCES, errno.EPERM):
        return ProbestreamError("ACCESS_DENIED", f'"{path}" may not be read by this user', facts)
    return ProbestreamError("SOURCE_UNAVAILABLE", f'"{path}" cannot be read: {error.strerror or error}', facts)
