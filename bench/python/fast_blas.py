"""A fair BLAS under numpy: the right OpenBLAS kernel, buffers kept by the allocator, a checked product, a stated rate.

Debian's python3-numpy alone brings the reference BLAS (install libopenblas0-pthread); Debian 12's OpenBLAS takes SSE3
kernels on processors newer than itself; and glibc gives every large buffer back to the kernel. Each costs a factor of
two to thirty, and a ratio against a crippled peer is worth nothing.
"""
import os
import sys
import time
from pathlib import Path

SLOWEST_FAIR_GFLOPS = 20


def use_fast_blas(threads):
    """Starts this program again, once, with OpenBLAS and malloc settings that fit the processor. Call before importing numpy."""
    if os.environ.get("FAST_BLAS_READY") == str(threads):
        return
    flags = Path("/proc/cpuinfo").read_text()
    core = "SkylakeX" if "avx512bw" in flags else "Haswell" if "avx2" in flags else ""
    settings = {
        "FAST_BLAS_READY": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MALLOC_MMAP_THRESHOLD_": str(2**32),
        "MALLOC_TRIM_THRESHOLD_": str(2**34),
        "MALLOC_TOP_PAD_": str(2**28),
        **({"OPENBLAS_CORETYPE": core} if core else {}),
    }
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **settings})


def measure_blas():
    """GFLOP/s of a float32 product of width 1024, best of 10, after a check against float64; refuses a slow or wrong BLAS."""
    import numpy as np

    x = np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)
    error = float(np.abs(x.astype(np.float64) @ x - x @ x).max())
    if error > 1e-2:
        raise SystemExit(f"this BLAS kernel computes wrong products here: off by {error}")
    out, best = np.empty_like(x), 0.0
    for _ in range(10):
        start = time.perf_counter()
        np.matmul(x, x, out=out)
        best = max(best, 2 * 1024**3 / (time.perf_counter() - start) / 1e9)
    if best < SLOWEST_FAIR_GFLOPS:
        raise SystemExit(f"BLAS reaches {best:.1f} GFLOP/s, below {SLOWEST_FAIR_GFLOPS}: install libopenblas0-pthread")
    return best
