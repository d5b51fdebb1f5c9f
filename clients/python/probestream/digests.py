"""Digests of uploads."""

from __future__ import annotations

import hashlib
from typing import Callable, Iterable

#: Bytes per segment: the grain of digests and of resumption.
SEGMENT_BYTES = 8 * 1024 * 1024


class SegmentHasher:
    """SHA-256 of each 8 MiB of a range; the last segment may be shorter."""

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self._emit = emit
        self._hash = hashlib.sha256()
        self._filled = 0

    def update(self, data: memoryview) -> None:
        """Adds bytes in order, cut anywhere."""
        at = 0
        while at < len(data):
            piece = data[at : at + SEGMENT_BYTES - self._filled]
            self._hash.update(piece)
            self._filled += len(piece)
            at += len(piece)
            if self._filled == SEGMENT_BYTES:
                self.end()

    def end(self) -> None:
        """Ends the range."""
        if self._filled == 0:
            return
        self._emit(self._hash.digest())
        self._hash = hashlib.sha256()
        self._filled = 0


class UploadDigest:
    """Digest of an upload, as its footer carries it: SHA-256 over the digests of all ranges' segments, in order."""

    def __init__(self) -> None:
        self._all = hashlib.sha256()
        self._segments = SegmentHasher(self._all.update)

    def add_segments(self, digests: bytes) -> None:
        """Adds segments whose digests are known, 32 bytes each. Only where a segment begins."""
        self._all.update(digests)

    def update(self, data: memoryview) -> None:
        """Adds bytes of the range under way."""
        self._segments.update(data)

    def end_range(self) -> None:
        """Ends the range under way."""
        self._segments.end()

    def finish(self) -> bytes:
        """The digest of all ranges."""
        return self._all.digest()


def have_digests(pieces: Iterable[memoryview], digests: bytes) -> bool:
    """Whether bytes up to a segment's end have these digests, one after another."""
    found = bytearray()
    hasher = SegmentHasher(found.extend)
    for piece in pieces:
        hasher.update(piece)
    hasher.end()
    return bytes(found) == digests
