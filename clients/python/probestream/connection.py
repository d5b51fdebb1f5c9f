"""The channel: how calls are made, ended and tried again."""

from __future__ import annotations

import functools
import ipaddress
import os
import random
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple, TypeVar, Union

import grpc

from probestream.cause import Cause
from probestream.errors import ProbestreamError, from_rpc_error
from probestream.gen.v1 import server_service_pb2, server_service_pb2_grpc
from probestream.stopping import POLL_SECONDS, Stop

T = TypeVar("T")

#: Version of this package, as pyproject.toml has it.
VERSION = "0.1.0"

#: Longest answer taken: text scores of a whole stream.
MAX_RECEIVE_BYTES = 64 * 1024 * 1024

_ATTEMPTS = 4
_FIRST_PAUSE = 0.2
_LIMITS_SECONDS = 60.0


@dataclass(frozen=True)
class Tls:
    """Keys and certificates, each as PEM bytes or the path of a PEM file."""

    #: Authorities that the server's certificate may be of; None for those that grpcio brings.
    authority: Union[bytes, str, "os.PathLike[str]", None] = None
    #: This client's certificate, where the server wants one (mTLS).
    certificate: Union[bytes, str, "os.PathLike[str]", None] = None
    #: Its private key.
    private_key: Union[bytes, str, "os.PathLike[str]", None] = field(default=None, repr=False)
    #: Name that the server's certificate has, where it is not that of the target.
    server_name: Optional[str] = None


class Connection:
    """A channel to one server."""

    def __init__(self, target: str, tls: Union[bool, Tls, None], token: Optional[str], timeout: float) -> None:
        _check_target(target)
        self.is_closed = False
        self.target = target
        self.timeout = timeout
        is_near = is_this_machine(target)
        options: List[Tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
            # Uploads are resumed by their ids, and other calls that are safe are made again below.
            ("grpc.enable_retries", 0),
            # A server whose machine is gone answers nothing, not even with an error.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", 10_000),
            ("grpc.primary_user_agent", f"probestream-python/{VERSION}"),
            # grpcio heeds http_proxy, even for 127.0.0.1.
            *([("grpc.enable_http_proxy", 0)] if is_near else []),
        ]
        self.metadata: Tuple[Tuple[str, str], ...] = ()
        if token is not None:
            _check_token(token)
            if not tls and not is_near:
                message = f"a token would go to {target} unencrypted, for all to read; connect with tls=True"
                raise ProbestreamError("FIELD_INVALID", message, {"target": target})
            self.metadata = (("authorization", f"Bearer {token}"),)
        if tls:
            given = tls if isinstance(tls, Tls) else Tls()
            if given.server_name is not None:
                options.append(("grpc.ssl_target_name_override", given.server_name))
            self.channel = grpc.secure_channel(target, _to_credentials(given), options)
        else:
            self.channel = grpc.insecure_channel(target, options)
        self.cause = Cause()
        self._limits: Optional[Tuple[float, server_service_pb2.Limits]] = None

    def unary(
        self,
        method: Any,
        request: Any,
        *,
        timeout: Optional[float] = None,
        stop: Optional[Stop] = None,
        safe: bool = True,
    ) -> Any:
        """Makes a call and waits for its answer.

        Args:
            method: of a stub.
            timeout: seconds for all attempts; None for those of the connection.
            stop: what may end the wait.
            safe: whether the call may be made again where the server could not be reached.
        """
        self.check_open()
        stop = stop or Stop()
        seconds = self.timeout if timeout is None else timeout
        if stop.remaining is not None:
            seconds = min(seconds, stop.remaining)
        deadline = time.monotonic() + seconds
        failures = 0
        while True:
            left = max(0.001, deadline - time.monotonic())
            call = functools.partial(method.future, request, timeout=left, metadata=self.metadata)
            try:
                return self.wait(call, stop)
            except ProbestreamError as error:
                failures += 1
                pause = _FIRST_PAUSE * 2 ** (failures - 1) * (0.5 + random.random() / 2)
                late = time.monotonic() + pause >= deadline
                if not safe or not _may_pass(error) or failures == _ATTEMPTS or late:
                    raise
                stop.pause(pause)

    def wait(self, start: Callable[[], Any], stop: Stop) -> Any:
        """Starts a call and waits for its answer; cancels it when the wait ends in another way."""
        stop.check()
        done = threading.Event()
        call = start()
        call.add_done_callback(lambda _: done.set())
        try:
            while not done.wait(POLL_SECONDS):
                stop.check()
        except BaseException:
            call.cancel()
            raise
        return result_of(call, self, stop)

    def stream(self, method: Any, request: Any, timeout: Optional[float], stop: Stop) -> Iterator[Any]:
        """Messages of a call that answers with many."""
        self.check_open()
        stop.check()
        call = method(request, timeout=timeout, metadata=self.metadata)
        forget = stop.on_stop(call.cancel)
        try:
            with stop.watched():
                for message in call:
                    self.cause.forget()
                    stop.check()
                    yield message
        except grpc.RpcError as error:
            stop.check()
            raise from_rpc_error(error, self.target, self.cause) from error
        finally:
            forget()
            call.cancel()

    def limits(self, stop: Optional[Stop] = None) -> server_service_pb2.Limits:
        """What the server allows, as it said a minute ago at most."""
        known = self._limits
        if known is None or time.monotonic() - known[0] > _LIMITS_SECONDS:
            stub = server_service_pb2_grpc.ServerServiceStub(self.channel)
            request = server_service_pb2.GetServerInfoRequest()
            # Uploads, which bring a stop, make all of an attempt again by themselves.
            answer = self.unary(stub.GetServerInfo, request, stop=stop, safe=stop is None)
            known = (time.monotonic(), answer.limits)
            self._limits = known
        return known[1]

    def close(self) -> None:
        """Ends all calls."""
        self.is_closed = True
        self.channel.close()

    def check_open(self) -> None:
        """Raises where the connection was closed: what grpcio raises has no reason."""
        if self.is_closed:
            raise ProbestreamError("SHUTTING_DOWN", "the client is closed; connect anew")


def result_of(call: Any, connection: Connection, stop: Stop) -> Any:
    """The answer of a call that is done, or its error."""
    try:
        answer = call.result()
        connection.cause.forget()
        return answer
    except grpc.FutureCancelledError:
        stop.check()
        message = f"the call to {connection.target} was cancelled"
        raise ProbestreamError("", message, code=grpc.StatusCode.CANCELLED) from None
    except grpc.RpcError as error:
        stop.check()
        raise from_rpc_error(error, connection.target, connection.cause) from error


def batches(items: Iterable[T], size: int) -> Iterator[List[T]]:
    """Items in lists of `size` at most; one empty list if there are none."""
    batch: List[T] = []
    count = 0
    for item in items:
        if len(batch) == size:
            yield batch
            batch = []
        batch.append(item)
        count += 1
    if batch or count == 0:
        yield batch


def is_this_machine(target: str) -> bool:
    """Whether nobody but this machine sees what goes to a target. A name that only looks like an address is not near."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    place = re.sub(r"^(?:dns|ipv4|ipv6):(?:///)?", "", target)
    found = re.fullmatch(r"\[([^]]*)\](?::\d+)?|([^:]*)(?::\d+)?", place)
    host = place if found is None else found[1] or found[2] or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_target(target: Any) -> None:
    """Refuses what is not `HOST:PORT` and has no scheme of gRPC, which would take the port 443 and a host named http."""
    scheme = None
    if isinstance(target, str):
        if re.match(r"(?:dns|ipv4|ipv6|unix|unix-abstract|xds|passthrough):.", target):
            return
        found = re.fullmatch(r"(?:\[[^\][\s]+\]|[^\s:/@?#\[\]]+):([0-9]{1,5})", target)
        if found is not None and 0 < int(found[1]) < 65536:
            return
        scheme = re.match(r"https?://", target, re.IGNORECASE)
    advice = "" if scheme is None else f", without {scheme[0]}; TLS is an option of its own"
    message = f"the target is {target!r}; give HOST:PORT, such as 127.0.0.1:50051{advice}"
    raise ProbestreamError("FIELD_INVALID", message, {"target": target})


def _check_token(token: str) -> None:
    """Refuses what no header can hold. What grpcio says of it would hold the token, which is a secret."""
    if token == "":
        raise ProbestreamError("FIELD_INVALID", "the token is empty; leave it out for a server that wants none")
    if re.search(r"[\r\n]", token):
        message = "the token holds a line break, as the content of a file does; give it without its line end"
        raise ProbestreamError("FIELD_INVALID", message)
    if re.fullmatch(r"[\x21-\x7e]+", token) is None:
        raise ProbestreamError("FIELD_INVALID", "the token has characters that a header cannot hold; check it")


def _may_pass(error: ProbestreamError) -> bool:
    return error.code is grpc.StatusCode.UNAVAILABLE and error.reason in ("SOURCE_UNAVAILABLE", "SHUTTING_DOWN", "")


def _to_credentials(tls: Tls) -> grpc.ChannelCredentials:
    if (tls.certificate is None) != (tls.private_key is None):
        raise ProbestreamError("FIELD_INVALID", "certificate and private_key belong together: give both, or neither")
    return grpc.ssl_channel_credentials(
        root_certificates=_read_pem(tls.authority, "authority"),
        private_key=_read_pem(tls.private_key, "private_key"),
        certificate_chain=_read_pem(tls.certificate, "certificate"),
    )


def _read_pem(pem: Union[bytes, str, "os.PathLike[str]", None], what: str) -> Optional[bytes]:
    if pem is None or isinstance(pem, bytes):
        return pem
    try:
        with open(pem, "rb") as file:
            return file.read()
    except OSError as error:
        message = f"{what}: {pem} cannot be read: {error.strerror}"
        raise ProbestreamError("FILE_NOT_FOUND", message, {"path": pem}) from error
