"""Why no connection to a server comes about."""

from __future__ import annotations

import re
from typing import Optional

#: What grpcio says around the cause: `failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:1: …`.
_AROUND = re.compile(
    r"failed to connect to all addresses; last error: (?:[A-Z_]+: )?(?:(?:ipv4|ipv6|unix)\S*: )?"
    r"(?:Failed to connect to remote host: |connect: )?"
)

#: What grpcio says of an attempt that it gave up, whatever earlier ones met.
_GIVEN_UP = re.compile(r"handshaker shutdown")


class Cause:
    """What attempts to connect met, as the last one tells that tells anything.

    grpcio starts a next attempt by itself. A call that fails while one is under way hears only that it was given up.
    """

    def __init__(self) -> None:
        self._found: Optional[str] = None

    def find(self, details: str) -> str:
        """The cause of a failure, of what grpcio says of it."""
        around = _AROUND.match(details)
        if around is None:
            return details
        cause = details[around.end() :]
        if _GIVEN_UP.search(cause) is None:
            self._found = cause
            return cause
        return "the connection was given up before it was made" if self._found is None else self._found

    def forget(self) -> None:
        """What was met is past: a call got through."""
        self._found = None
