"""A layer of any size that costs nothing to make: one seeded block of 8 MiB, repeated."""
import hashlib

import numpy as np

SEGMENT_BYTES = 8 * 1024 * 1024
ELEMENT_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


class RepeatedLayer:
    """`total_bytes` of numbers around 0 with deviation 0.02; byte i is byte i mod 8 MiB of the block."""

    def __init__(self, dtype, total_bytes, seed):
        self.total_bytes = total_bytes
        values = np.random.default_rng(seed).standard_normal(SEGMENT_BYTES // ELEMENT_BYTES[dtype], dtype=np.float32)
        self._block = _to_dtype(values * np.float32(0.02), dtype).tobytes()
        # Twice, so that a chunk that runs over the block's end is one slice.
        self._twice = memoryview(self._block * 2)

    def chunk(self, offset, limit):
        """The bytes from `offset` on, at most `limit` (up to 8 MiB) of them, as a view."""
        begin = offset % SEGMENT_BYTES
        return self._twice[begin : begin + min(limit, self.total_bytes - offset)]

    def digest(self):
        """SHA-256 over the SHA-256 digests of the layer's 8 MiB segments. All full segments are alike, so it is cheap."""
        full, rest = divmod(self.total_bytes, SEGMENT_BYTES)
        digests = hashlib.sha256(self._block).digest() * full
        if rest:
            digests += hashlib.sha256(self._block[:rest]).digest()
        return hashlib.sha256(digests).digest()


def _to_dtype(values, dtype):
    """Float32 numbers rounded to the dtype, as an array whose bytes are those of a file."""
    if dtype == "F32":
        return values.astype("<f4")
    if dtype == "F16":
        return values.astype("<f2")
    # bfloat16 is the upper half of float32; cutting instead of rounding is as good for a load.
    return (values.astype("<f4").view("<u4") >> 16).astype("<u2")
