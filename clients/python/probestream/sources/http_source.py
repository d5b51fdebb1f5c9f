"""Files behind URLs, read by ranges."""

from __future__ import annotations

import base64
import functools
import http.client
import os
import random
import re
import socket
import threading
import urllib.error
import urllib.request
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from probestream.errors import ProbestreamError
from probestream.sources.byte_source import ByteSource
from probestream.stopping import Stop

#: Bytes of the first request, which also finds the size: all of the header of most LoRA files.
PREFIX_BYTES = 128 * 1024

#: A file up to this is taken whole from a server that ignores ranges.
MAX_WHOLE_BYTES = 1024 * 1024

_ATTEMPTS = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 20.0
_LONGEST_RETRY_AFTER = 60.0
_IDLE_SECONDS = 60.0
# A connection that is being made cannot be woken: whoever stops the work waits so long at most.
_CONNECT_SECONDS = 15.0
_MAX_REDIRECTS = 5
_PROGRESS_BYTES = 64 * 1024

# A number in a header, as far as anything is so large.
_COUNT = "[0-9]{1,18}"


def is_url(location: str) -> bool:
    """Whether a model's location is a URL rather than a path."""
    return re.match(r"https?://", location, re.IGNORECASE) is not None


class _Transient(Exception):
    """A failure that may pass."""

    def __init__(self, message: str, retry_after: Optional[float] = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are followed by hand, for urllib sends headers on to other servers, and tokens with them."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Request(urllib.request.Request):
    """A request whose wait for an answer ends when the work shall stop."""

    def __init__(self, url: str, headers: Mapping[str, str], stop: Stop) -> None:
        super().__init__(url, headers=dict(headers))
        self._stop = stop
        self._forget: List[Callable[[], None]] = []

    def connection(self, kind: Any, *args: Any, **options: Any) -> Any:
        """A connection of http.client that the stop wakes."""
        made = kind(*args, **{**options, "timeout": _CONNECT_SECONDS})
        connect = made.connect

        def connect_and_watch() -> None:
            connect()
            made.sock.settimeout(_IDLE_SECONDS)
            self._forget.append(self._stop.on_stop(functools.partial(_shut, made.sock)))

        made.connect = connect_and_watch
        return made

    def answered(self) -> None:
        """The wait is over."""
        while self._forget:
            self._forget.pop()()


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: Any) -> Any:
        return self.do_open(functools.partial(request.connection, http.client.HTTPConnection), request)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, request: Any) -> Any:
        kind = functools.partial(request.connection, http.client.HTTPSConnection)
        return self.do_open(kind, request, context=self._context)  # type: ignore[attr-defined]


class HttpSource(ByteSource):
    """A file behind a URL. Memory: one chunk, and the file's first 128 KiB until it is closed."""

    def __init__(self, url: str, headers: Mapping[str, str], stop: Stop) -> None:
        parts = urlsplit(_to_file_url(url))
        user, _, host = parts.netloc.rpartition("@")
        self._url = _to_ascii(urlunsplit(parts._replace(netloc=host, fragment="")))
        self._origin = (parts.scheme, host)
        self._private = {"authorization": "Basic " + base64.b64encode(unquote(user).encode()).decode()} if user else {}
        self._private.update(_hub_token(host))
        self._private.update({name.lower(): value for name, value in headers.items()})
        self.name = f"{parts.scheme}://{host}{parts.path}"
        self._opener = urllib.request.build_opener(_NoRedirect, _Http, _Https)
        self._at: Optional[str] = None
        self._etag: Optional[str] = None
        self._modified: Optional[str] = None
        self._lock = threading.Lock()
        self.size = -1
        self._prefix = self._retrying(lambda: self._read_prefix(stop), stop)
        if self._etag is not None or self._modified is not None:
            self.fingerprint = f"{self.name}\0{self.size}\0{self._etag or self._modified}"

    def stream(self, begin: int, end: int, chunk_bytes: int, stop: Stop) -> Iterator[memoryview]:
        if end <= len(self._prefix):
            view = memoryview(self._prefix)
            for at in range(begin, end, chunk_bytes):
                yield view[at : min(end, at + chunk_bytes)]
            return
        buffer = memoryview(bytearray(min(chunk_bytes, end - begin)))
        at, filled, failures = begin, 0, 0
        while at < end:
            start = at
            try:
                with self._get(at, end, stop) as answer:
                    while at < end:
                        stop.check()
                        wanted = min(len(buffer), end - (at - filled))
                        count = self._read_into(answer, buffer[filled:wanted], stop)
                        at += count
                        filled += count
                        if filled == wanted:
                            yield buffer[:filled]
                            filled = 0
            except _Transient as failure:
                failures = 1 if at - start >= _PROGRESS_BYTES else failures + 1
                self._recover(failure, failures, stop)

    def close(self) -> None:
        self._prefix = b""

    def _read_prefix(self, stop: Stop) -> bytes:
        with self._get(0, PREFIX_BYTES, stop) as answer:
            whole = answer.status == 200
            length = _to_count(answer.headers.get("content-length"))
            most = MAX_WHOLE_BYTES if whole else PREFIX_BYTES
            if whole and length is not None and length > most:
                raise self._no_ranges(str(length))
            data = bytearray(most + 1)
            filled = 0
            while filled < len(data):
                try:
                    count = self._read_into(answer, memoryview(data)[filled:], stop)
                except _Transient:
                    if length is not None and filled < length:
                        raise
                    break
                filled += count
            if whole:
                if filled > most:
                    raise self._no_ranges("an unknown number of" if length is None else str(length))
                self.size = filled
            return bytes(data[:filled])

    def _get(self, begin: int, end: int, stop: Stop) -> Any:
        """Asks for a range, at the address that redirects led to as long as that answers."""
        stop.check()
        answer = self._follow(self._at or self._url, begin, end, stop)
        if self._at not in (None, self._url) and answer.status in (401, 403):
            # The address' signature has expired; the original one gives another.
            answer.close()
            self._at = None
            answer = self._follow(self._url, begin, end, stop)
        try:
            self._check(answer, begin)
            return answer
        except BaseException:
            answer.close()
            raise

    def _follow(self, url: str, begin: int, end: int, stop: Stop) -> Any:
        for _ in range(_MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            private = self._private if (parts.scheme, parts.netloc) == self._origin else {}
            sent = {
                "user-agent": "probestream-python",
                **private,
                "range": f"bytes={begin}-{end - 1}",
                "accept-encoding": "identity",
            }
            request = _Request(url, sent, stop)
            try:
                answer = self._opener.open(request)
            except urllib.error.HTTPError as error:
                answer = error
            except (http.client.InvalidURL, ValueError):
                stop.check()
                # The cause names the header, which may be secret.
                message = f"{self.name} cannot be asked for: its address or headers= has what HTTP does not allow"
                raise ProbestreamError("FIELD_INVALID", message) from None
            except (OSError, http.client.HTTPException) as error:
                raise _Transient(f"{parts.netloc}: {getattr(error, 'reason', error)}") from error
            finally:
                request.answered()
            location = answer.headers.get("location") if answer.status in (301, 302, 303, 307, 308) else None
            if location is None:
                if answer.status in (200, 206):
                    self._at = url
                return answer
            answer.close()
            target = urljoin(url, location)
            if not is_url(target) or (parts.scheme == "https" and target.lower().startswith("http:")):
                raise ProbestreamError(
                    "FIELD_INVALID", f"{self.name} redirects to what is not encrypted, or no http(s) URL"
                )
            # http.client reads headers as ISO 8859-1, whatever their bytes stand for.
            url = _to_ascii(target, "iso-8859-1")
        raise ProbestreamError(
            "FIELD_INVALID", f"{self.name} redirects more than {_MAX_REDIRECTS} times; give the file's own address"
        )

    def _check(self, answer: Any, begin: int) -> None:
        """Sees to it that all ranges are of the same state of the file."""
        status, headers = answer.status, answer.headers
        if status == 200:
            if self.size >= 0:
                raise _Transient("the server gave the whole file instead of a range")
            self._etag, self._modified = headers.get("etag"), headers.get("last-modified")
            return
        if status != 206:
            raise self._status_error(status, headers)
        found = re.fullmatch(rf"bytes ({_COUNT})-({_COUNT})/({_COUNT})", headers.get("content-range") or "")
        if found is None or int(found[1]) != begin:
            raise ProbestreamError(
                "SOURCE_UNAVAILABLE", f"{self.name} answered with another range than was asked for; download the file"
            )
        size, etag, modified = int(found[3]), headers.get("etag"), headers.get("last-modified")
        if self.size < 0:
            self.size, self._etag, self._modified = size, etag, modified
        elif (
            size != self.size
            or (self._etag and etag and _strong(etag) != _strong(self._etag))
            or (not self._etag and modified != self._modified)
        ):
            raise ProbestreamError(
                "CORRUPT", f"{self.name} has changed while it was read; start again", {"url": self.name}
            )

    def _status_error(self, status: int, headers: Any) -> Exception:
        facts: Dict[str, object] = {"url": self.name, "status": status}
        if status in (404, 410):
            return ProbestreamError(
                "FILE_NOT_FOUND", f"there is no file at {self.name} (HTTP {status}); check the address", facts
            )
        if status in (401, 403):
            message = f"{self.name} may not be read (HTTP {status}): set HF_TOKEN for Hugging Face, or give headers="
            return ProbestreamError("ACCESS_DENIED", message, facts)
        if status in (408, 425, 429) or status >= 500:
            after = _to_count(headers.get("retry-after"))
            return _Transient(f"HTTP {status}", None if after is None else min(after, _LONGEST_RETRY_AFTER))
        return ProbestreamError(
            "SOURCE_UNAVAILABLE", f"{self.name} answered HTTP {status} to a request for a byte range", facts
        )

    def _read_into(self, answer: Any, target: memoryview, stop: Stop) -> int:
        forget = stop.on_stop(lambda: _wake(answer))
        try:
            count: int = answer.readinto(target)
        except (OSError, http.client.HTTPException, ValueError) as error:
            stop.check()
            raise _Transient(f"the connection broke off: {error}") from error
        finally:
            forget()
        if count == 0:
            stop.check()
            raise _Transient("the connection broke off")
        return count

    def _retrying(self, attempt: Any, stop: Stop) -> Any:
        failures = 0
        while True:
            try:
                return attempt()
            except _Transient as failure:
                failures += 1
                self._recover(failure, failures, stop)

    def _recover(self, failure: _Transient, failures: int, stop: Stop) -> None:
        stop.check()
        if failures >= _ATTEMPTS:
            message = f"{self.name} could not be read: {failure}, {failures} times in a row; try again later"
            raise ProbestreamError("SOURCE_UNAVAILABLE", message, {"url": self.name, "attempts": failures}) from failure
        longest = min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE)
        stop.pause(failure.retry_after if failure.retry_after is not None else longest * (0.5 + random.random() / 2))

    def _no_ranges(self, length: str) -> ProbestreamError:
        message = (
            f"{self.name} comes from a server that ignores ranges, and has {length} bytes; at most {MAX_WHOLE_BYTES} "
            "are taken whole. Download the file and give its path"
        )
        return ProbestreamError("LIMIT_EXCEEDED", message, {"url": self.name})


def _wake(answer: Any) -> None:
    """Ends a read that another thread is in."""
    raw = getattr(getattr(answer, "fp", None), "raw", None)
    _shut(getattr(raw, "_sock", None))


def _shut(sock: Any) -> None:
    if isinstance(sock, socket.socket):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def _to_ascii(url: str, encoding: str = "utf-8") -> str:
    """A URL as it travels: letters beyond ASCII and blanks in its path and query as %XX. What is %XX already stays."""
    parts = urlsplit(url)
    path, query = (quote(text, "%/:?@!$&'()*+,;=~", encoding) for text in (parts.path, parts.query))
    return urlunsplit(parts._replace(path=path, query=query))


def _to_count(header: Optional[str]) -> Optional[int]:
    """A header's number; None where it has none."""
    return int(header) if header is not None and re.fullmatch(_COUNT, header) else None


def _strong(etag: str) -> str:
    return etag[2:] if etag.startswith("W/") else etag


def _to_file_url(url: str) -> str:
    """Pages of Hugging Face become the file that they show."""
    return re.sub(
        r"^(https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?:(?:datasets|spaces)/)?[^/]+/[^/]+)/blob/",
        r"\1/resolve/",
        url,
    )


def _hub_token(host: str) -> Dict[str, str]:
    token = os.environ.get("HF_TOKEN", "")
    return (
        {"authorization": f"Bearer {token}"}
        if token and re.fullmatch(r"(?:www\.)?(?:huggingface\.co|hf\.co)", host)
        else {}
    )
