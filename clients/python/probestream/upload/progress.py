"""How far embedding is."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Callable, Optional


@dataclass
class Progress:
    """Counts of one `embed`. Always the same object with other numbers: copy what shall last."""

    #: Models met so far.
    models: int = 0
    #: Models with a result or an error.
    models_done: int = 0
    #: Models with an error.
    models_failed: int = 0
    #: Bytes wanted of the models planned so far.
    bytes_wanted: int = 0
    #: Part of `bytes_wanted` that has been sent, or was there from an earlier upload.
    bytes_done: int = 0
    #: Bytes sent, those sent again after a failure included.
    bytes_sent: int = 0


class ProgressCounter:
    """Counts for several threads, and tells a listener after each change."""

    def __init__(self, listener: Optional[Callable[[Progress], None]]) -> None:
        self._progress = Progress()
        self._listener = listener
        self._lock = threading.Lock()

    def add(self, **change: int) -> None:
        """Adds to the counts; negative numbers take back. Raises what the listener raises."""
        with self._lock:
            for name, amount in change.items():
                setattr(self._progress, name, getattr(self._progress, name) + amount)
            if self._listener is not None:
                self._listener(self._progress)
