"""One place that says whether work shall stop, and why."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, Optional

from probestream.errors import cancelled, timed_out

#: How long a wait may last before it is looked whether the work shall stop, in seconds.
POLL_SECONDS = 0.05


class Stop:
    """Work in several threads asks this one object whether it shall go on.

    It stops when its caller's event is set, when its time is up, and when one of the threads fails for all.
    """

    def __init__(self, event: Optional[threading.Event] = None, timeout: Optional[float] = None) -> None:
        self._event = event
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._reason: Optional[BaseException] = None
        self._lock = threading.Lock()
        self._closers: Dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def reason(self) -> Optional[BaseException]:
        """Why the work shall stop; None as long as it shall not."""
        if self._reason is None:
            if self._event is not None and self._event.is_set():
                self.stop(cancelled())
            elif self._deadline is not None and time.monotonic() >= self._deadline:
                self.stop(timed_out(self._timeout or 0))
        return self._reason

    @property
    def remaining(self) -> Optional[float]:
        """Seconds left; None for as many as it takes."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def check(self) -> None:
        """Raises the reason if there is one."""
        reason = self.reason
        if reason is not None:
            raise reason

    def stop(self, reason: BaseException) -> None:
        """Stops all. Only the first reason counts."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            closers = list(self._closers.values())
        for close in closers:
            close()

    def on_stop(self, close: Callable[[], None]) -> Callable[[], None]:
        """Calls `close` when the work shall stop, to wake what waits inside a call. Returns what takes that back."""
        with self._lock:
            stopped = self._reason is not None
            key = self._next
            self._next += 1
            if not stopped:
                self._closers[key] = close
        if stopped:
            close()

        def forget() -> None:
            with self._lock:
                self._closers.pop(key, None)

        return forget

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Looks whether the work shall stop while its thread waits inside a call, which cannot look by itself."""
        left = threading.Event()

        def watch() -> None:
            while self.reason is None and not left.wait(POLL_SECONDS):
                pass

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            left.set()

    def pause(self, seconds: float) -> None:
        """Sleeps, unless the work shall stop."""
        end = time.monotonic() + seconds
        while True:
            self.check()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, POLL_SECONDS))
