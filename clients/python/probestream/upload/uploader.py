"""Plans and sends models until each is settled, through as many streams as it takes."""

from __future__ import annotations

import random
from typing import Callable, List, Optional, Sequence, Tuple

import grpc

from probestream.connection import Connection
from probestream.errors import ProbestreamError, from_model_error
from probestream.gen.v1 import embedding_service_pb2, embedding_service_pb2_grpc, types_pb2
from probestream.stopping import Stop
from probestream.upload.embed_stream import EmbedStream
from probestream.upload.manifest import plan_batches, to_manifest
from probestream.upload.send_model import SourceFailure, check_start, send_model
from probestream.upload.upload import Upload

# What the state that an upload would go on from does not fit any more; or someone else uploads the same file.
_RESTART = {"PLAN_STALE", "UPLOAD_MISMATCH", "DIGEST_MISMATCH", "UPLOAD_IN_USE"}

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0

Attempt = Callable[[List[Upload]], Optional[ProbestreamError]]


class Uploader:
    """What the uploads of one `embed` share.

    One that broke off goes on where the server had got to; one model's failure stops no other.
    """

    def __init__(
        self, connection: Connection, texts: Optional[types_pb2.FloatMatrix], retries: int, stop: Stop
    ) -> None:
        self._connection = connection
        self._stub = embedding_service_pb2_grpc.EmbeddingServiceStub(connection.channel)
        self._texts = texts
        self._retries = retries
        self._stop = stop
        # Counts what the server answered to anybody: whether it is there at all.
        self._answers = 0

    def plan(self, uploads: Sequence[Upload]) -> None:
        """Plans uploads; those that get no plan are settled with the reason."""

        def attempt(pending: List[Upload]) -> None:
            self._plan_missing(pending)

        self._until_done(list(uploads), attempt)

    def send(self, uploads: Sequence[Upload]) -> None:
        """Sends planned models until each is settled.

        Raises:
            ProbestreamError: why all shall stop; also `SOURCE_UNAVAILABLE` once all retries failed and nobody has heard
                from the server meanwhile: then it is gone, and other models need not find out for themselves.
        """

        def attempt(pending: List[Upload]) -> Optional[ProbestreamError]:
            self._plan_missing(pending)
            return self._send_once(_open(pending))

        pending = _open(uploads)
        while pending:
            self._until_done(pending, attempt)
            pending = _open(pending)

    def _until_done(self, pending: List[Upload], attempt: Attempt) -> None:
        reached = failures = 0
        answers_before = self._answers
        while True:
            is_broken = False
            try:
                failure = attempt(pending)
            except ProbestreamError as error:
                self._stop.check()
                failure, is_broken = error, True
            pending = _open(pending)
            if failure is None or not pending:
                return
            # An upload of hours may meet any number of failures, as long as it gets on between them.
            start = sum(upload.reached_bytes for upload in pending)
            if start > reached:
                reached, failures = start, 0
            if to_remedy(failure) != "resume":
                return self._settle_or_split(pending, failure, attempt)
            if failures == self._retries:
                is_gone = failure.code is grpc.StatusCode.UNAVAILABLE and self._answers == answers_before
                if is_broken and is_gone:
                    raise failure
                return _settle_all(pending, failure)
            answers_before = self._answers
            for upload in pending:
                upload.plan = None
            failures += 1
            # Half of it at random, so that streams that failed together do not come back together.
            self._stop.pause(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failures - 1)) * (0.5 + random.random() / 2))

    def _settle_or_split(self, pending: List[Upload], failure: ProbestreamError, attempt: Attempt) -> None:
        """A call that fails for good is made for each half of its models, lest one of them stop the others."""
        # Whoever may not call at all, or has nobody to call, need not find out model by model.
        concerns_all = failure.code in (
            grpc.StatusCode.PERMISSION_DENIED,
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.UNIMPLEMENTED,
        )
        if concerns_all:
            raise failure
        if len(pending) == 1:
            return _settle_all(pending, failure)
        middle = (len(pending) + 1) // 2
        for half in (pending[:middle], pending[middle:]):
            for upload in half:
                upload.plan = None
            self._until_done(half, attempt)

    def _plan_missing(self, uploads: Sequence[Upload]) -> None:
        while True:
            missing = [upload for upload in uploads if upload.plan is None and not upload.is_settled]
            if not missing:
                return
            manifests = []
            asked = []
            for upload in missing:
                try:
                    manifests.append(self._manifest(upload))
                    asked.append(upload)
                except ProbestreamError as error:
                    self._stop.check()
                    if error.code is grpc.StatusCode.UNAVAILABLE:
                        raise
                    upload.settle(error)
            most = 1 if len(asked) == 1 else self._connection.limits(self._stop).max_plan_models if asked else 1
            at = 0
            for batch in plan_batches(manifests, most):
                request = embedding_service_pb2.PlanEmbeddingRequest(manifests=batch)
                # Failures that may pass are met by _until_done.
                answer = self._connection.unary(self._stub.PlanEmbedding, request, stop=self._stop, safe=False)
                self._answers += 1
                if len(answer.plans) != len(batch):
                    raise ProbestreamError("INTERNAL", f"{len(answer.plans)} plans came for {len(batch)} models")
                for upload, plan in zip(asked[at : at + len(batch)], answer.plans):
                    if plan.WhichOneof("outcome") == "planned":
                        upload.begin(plan.planned)
                    else:
                        settle_or_restart(upload, from_model_error(plan.error))
                at += len(batch)

    def _manifest(self, upload: Upload) -> types_pb2.Manifest:
        return to_manifest(
            self._connection, upload.model, upload.model_id, upload.upload_id, upload.experts, self._stop
        )

    def _send_once(self, uploads: Sequence[Upload]) -> Optional[ProbestreamError]:
        """Sends planned models through one stream, in order, and settles those it gets an outcome for.

        Returns:
            what kept it from settling any, or an error of single models that may pass.
        """
        ready = [upload for upload in uploads if self._has_sound_start(upload)]
        if not ready:
            return None
        sent, broken, answer = self._send_all(ready)
        setback: Optional[ProbestreamError] = None
        settled_one = broken is not None
        for at, upload in enumerate(sent):
            # Of a model that broke off, the server can only tell that it did.
            if broken is not None and upload is broken[0]:
                upload.settle(broken[1])
            if upload.is_settled or at >= len(answer.results):
                continue
            settled_one = True
            result = answer.results[at]
            if result.WhichOneof("outcome") == "embedding":
                upload.settle(result)
                continue
            error = from_model_error(result.error)
            if to_remedy(error) == "resume":
                upload.plan = None
                setback = error
            else:
                settle_or_restart(upload, error)
        if settled_one:
            return setback
        return ProbestreamError("FOOTER_MISSING", "a stream was answered without a word on any of its models")

    def _send_all(
        self, uploads: Sequence[Upload]
    ) -> Tuple[List[Upload], Optional[Tuple[Upload, ProbestreamError]], embedding_service_pb2.EmbedModelResponse]:
        sent: List[Upload] = []
        broken: Optional[Tuple[Upload, ProbestreamError]] = None
        most = 1 if len(uploads) == 1 else self._connection.limits(self._stop).max_stream_models
        stream = EmbedStream(self._connection, self._stop)
        try:
            for upload in uploads[:most]:
                if stream.answered or broken is not None or upload.plan is None:
                    break
                texts = self._texts if not sent else None
                sent.append(upload)
                try:
                    send_model(stream, upload, upload.plan, texts, self._stop)
                except SourceFailure as failure:
                    # Without its footer no header may follow: the stream ends here, and the rest takes another.
                    broken = (upload, failure.error)
            answer = stream.finish()
        except BaseException:
            stream.abort()
            raise
        self._answers += 1
        return sent, broken, answer

    def _has_sound_start(self, upload: Upload) -> bool:
        """Whether what an earlier upload brought can stay; if not, it begins anew, or ends where it cannot be read."""
        if upload.plan is None:
            return False
        try:
            check_start(upload, upload.plan, self._stop)
            return True
        except SourceFailure as failure:
            settle_or_restart(upload, failure.error)
            return False


def to_remedy(error: ProbestreamError) -> str:
    """What can be done about an error: "resume", "restart", "reroute" or "none"."""
    if error.reason in _RESTART:
        return "restart"
    if error.reason == "REROUTED":
        return "reroute"
    if error.reason == "BACKEND_UNAVAILABLE" or error.code is grpc.StatusCode.UNIMPLEMENTED:
        return "none"
    may_pass = error.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED) or error.reason == "MEMORY_BUDGET"
    return "resume" if may_pass else "none"


def settle_or_restart(upload: Upload, error: ProbestreamError) -> None:
    """Begins an upload anew where that may help, or ends it with the error."""
    remedy = to_remedy(error)
    if remedy == "restart" and upload.restart():
        return
    if remedy == "reroute" and upload.reroute(error.metadata.get("spaceId", "")):
        return
    upload.settle(error)


def _settle_all(pending: Sequence[Upload], failure: ProbestreamError) -> None:
    for upload in pending:
        upload.settle(failure)


def _open(uploads: Sequence[Upload]) -> List[Upload]:
    return [upload for upload in uploads if not upload.is_settled]
