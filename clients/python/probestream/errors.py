"""The one error class, and how it comes from the wire."""

from __future__ import annotations

import re
from typing import Dict, Mapping, Optional

import grpc

from probestream.cause import Cause
from probestream.gen.v1 import error_reason_pb2, types_pb2

__all__ = ["ProbestreamError"]

#: What grpcio says where the first bytes of an answer are no TLS.
_SPEAKS_NO_TLS = re.compile("wrong version number|WRONG_VERSION_NUMBER")

_PREFIX = "ERROR_REASON_"

# The code that error_reason.proto gives for each reason that this package throws by itself.
_CODES: Dict[str, grpc.StatusCode] = {
    "FIELD_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "HEADER_MALFORMED": grpc.StatusCode.INVALID_ARGUMENT,
    "SHAPE_MISMATCH": grpc.StatusCode.INVALID_ARGUMENT,
    "DTYPE_UNSUPPORTED": grpc.StatusCode.INVALID_ARGUMENT,
    "FORMAT_REFUSED": grpc.StatusCode.INVALID_ARGUMENT,
    "NON_FINITE": grpc.StatusCode.INVALID_ARGUMENT,
    "DUPLICATE": grpc.StatusCode.INVALID_ARGUMENT,
    "DIGEST_MISMATCH": grpc.StatusCode.DATA_LOSS,
    "CORRUPT": grpc.StatusCode.DATA_LOSS,
    "LAYER_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "FILE_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "EXPERT_AMBIGUOUS": grpc.StatusCode.FAILED_PRECONDITION,
    "LIMIT_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "FOOTER_MISSING": grpc.StatusCode.ABORTED,
    "SHUTTING_DOWN": grpc.StatusCode.UNAVAILABLE,
    "SOURCE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "INTERNAL": grpc.StatusCode.INTERNAL,
    "ACCESS_DENIED": grpc.StatusCode.PERMISSION_DENIED,
}


class ProbestreamError(Exception):
    """Anything that went wrong, here or on the server.

    `str(error)` is a sentence for people: what was found, what was allowed, what to do.
    """

    #: Why, as a name of `ErrorReason` without its prefix, "FILE_NOT_FOUND" say; "" where there is no reason but the
    #: code: a call that was cancelled, or whose time was up.
    reason: str
    #: The gRPC status code: what can be done about it.
    code: grpc.StatusCode
    #: Facts of the sentence by name, for programs.
    metadata: Mapping[str, str]

    def __init__(
        self,
        reason: str,
        message: str,
        metadata: Optional[Mapping[str, object]] = None,
        code: Optional[grpc.StatusCode] = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code if code is not None else _CODES.get(reason, grpc.StatusCode.UNKNOWN)
        self.metadata = {name: str(value) for name, value in (metadata or {}).items()}

    @property
    def message(self) -> str:
        """The sentence."""
        return str(self.args[0])

    def __repr__(self) -> str:
        return f"ProbestreamError({self.reason or self.code.name}: {self.message})"

    def __reduce__(self) -> "tuple[object, ...]":
        # Exceptions are pickled by their arguments; process pools hand them on that way.
        return (ProbestreamError, (self.reason, self.message, dict(self.metadata), self.code))


def cancelled() -> ProbestreamError:
    """The error of work that its caller stopped."""
    return ProbestreamError("", "it was cancelled", code=grpc.StatusCode.CANCELLED)


def timed_out(seconds: float) -> ProbestreamError:
    """The error of work that took too long."""
    return ProbestreamError(
        "", f"it was not done within {seconds:g} s; allow more (timeout=)", code=grpc.StatusCode.DEADLINE_EXCEEDED
    )


def from_model_error(error: types_pb2.ModelError) -> ProbestreamError:
    """The error of one item of a batch."""
    return ProbestreamError(_reason_name(error.reason), error.message, dict(error.metadata), _to_code(error.code))


def from_rpc_error(error: grpc.RpcError, target: str, cause: Cause) -> ProbestreamError:
    """The error of a failed call, as the server threw it, or what the transport says.

    Args:
        cause: that of the channel, which remembers what other calls met.
    """
    code, details = error.code(), error.details() or ""
    found = _read_error_info(_packed_details(error))
    if found is not None:
        cause.forget()
        reason, metadata = found
        return ProbestreamError(reason, details, metadata, code)
    if code is grpc.StatusCode.UNAVAILABLE:
        details = cause.find(details)
    if code is grpc.StatusCode.UNAVAILABLE and _SPEAKS_NO_TLS.search(details):
        message = (
            f"the server {target} speaks no TLS, and this client does; "
            "leave `tls` out, or start the server with a certificate"
        )
        return ProbestreamError("SOURCE_UNAVAILABLE", message, {"target": target}, code)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        message = f"{target} did not answer before the call's deadline; timeout= of connect sets it"
        return ProbestreamError("", message, {"target": target}, code)
    if code is grpc.StatusCode.UNAVAILABLE:
        message = f"the server {target} cannot be reached: {details}; is `probestream serve` running there?"
        return ProbestreamError("SOURCE_UNAVAILABLE", message, {"target": target}, code)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        message = f"{target} is not a Probestream server, or an older one: {details}"
        return ProbestreamError("SOURCE_UNAVAILABLE", message, {"target": target}, code)
    return ProbestreamError("", f"the call to {target} ended early: {details}", {"target": target}, code)


def _packed_details(error: grpc.RpcError) -> bytes:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return value
    return b""


def _reason_name(value: int) -> str:
    """A reason by its number; one that this version does not know keeps its number."""
    if value == 0:
        return ""
    try:
        name: str = error_reason_pb2.ErrorReason.Name(value)
        return name[len(_PREFIX) :]
    except ValueError:
        return str(value)


def _to_code(number: int) -> grpc.StatusCode:
    for code in grpc.StatusCode:
        if code.value[0] == number:
            return code
    return grpc.StatusCode.UNKNOWN


def _read_error_info(packed: bytes) -> Optional["tuple[str, Dict[str, str]]"]:
    """Reason and facts of the `google.rpc.ErrorInfo` in a packed `google.rpc.Status`.

    Read by hand: to register those messages would clash with the package googleapis-common-protos where that is loaded.
    """
    try:
        for number, detail in _fields(packed):
            if number != 3 or not isinstance(detail, bytes):
                continue
            packed_any = dict(_fields(detail))
            url, value = packed_any.get(1, b""), packed_any.get(2, b"")
            if not isinstance(url, bytes) or not url.endswith(b"/google.rpc.ErrorInfo") or not isinstance(value, bytes):
                continue
            reason, facts = "", {}
            for field, content in _fields(value):
                if field == 1 and isinstance(content, bytes):
                    reason = content.decode()
                elif field == 3 and isinstance(content, bytes):
                    entry = dict(_fields(content))
                    key, fact = entry.get(1, b""), entry.get(2, b"")
                    if isinstance(key, bytes) and isinstance(fact, bytes):
                        facts[key.decode()] = fact.decode()
            return reason, facts
    except (ValueError, IndexError):
        return None
    return None


def _fields(message: bytes) -> "list[tuple[int, object]]":
    """Numbers and values of a message's fields: bytes where they have a length, else a number."""
    fields: "list[tuple[int, object]]" = []
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            fields.append((tag >> 3, value))
        elif kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("a field goes past its message")
            fields.append((tag >> 3, message[at : at + length]))
            at += length
        else:
            raise ValueError("a field of another kind")
    return fields


def _varint(message: bytes, at: int) -> "tuple[int, int]":
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
