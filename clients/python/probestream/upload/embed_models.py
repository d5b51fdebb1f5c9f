"""Embeds models, many at a time: opens them, plans them in batches, and streams what the plans want."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from probestream.connection import Connection
from probestream.convert import fill_result
from probestream.errors import ProbestreamError
from probestream.gen.v1 import types_pb2
from probestream.local_probing import LocalUploader
from probestream.models import Index, Model, to_index
from probestream.results import EmbedResult
from probestream.sources.http_source import is_url
from probestream.sources.model import OpenModel
from probestream.sources.open_model import location_of, open_model
from probestream.stopping import POLL_SECONDS, Stop
from probestream.upload.progress import Progress, ProgressCounter
from probestream.upload.upload import Outcome, Upload, wanted_bytes
from probestream.upload.uploader import Uploader

#: Models that are planned together: enough that the round trips of plan and answer weigh little at 35 KB a model.
_BATCH_MODELS = 128

#: Models that want less share a stream, others have one to themselves.
_SMALL_BYTES = 1024 * 1024

#: Batches that are opened and planned while others are streamed.
_BATCHES_AHEAD = 2

#: Remote models opened at once: their headers take a round trip or more each.
_OPENING_AT_ONCE = 16

#: Characters of a location that make up a model id.
_ID_CHARACTERS = 200

#: Characters of a claim that is sent; the server leaves longer ones out (`Limits.max_claim_bytes`).
_CLAIM_CHARACTERS = 4096

#: How long the threads of a call that ends early are waited for, in all: one may be opening a connection.
_LEAVE_SECONDS = 5.0


class _Run:
    """One `embed`: a thread opens and plans, others stream, and the caller's takes results."""

    def __init__(
        self,
        connection: Connection,
        experts: Sequence[str],
        texts: Optional[types_pb2.FloatMatrix],
        index: Optional[Index],
        progress: Optional[Callable[[Progress], None]],
        headers: Mapping[str, str],
        retries: int,
        stop: Stop,
        local: bool,
        probes: Optional[str],
    ) -> None:
        self._experts, self._index, self._headers = experts, index, headers
        self._stop = stop
        self._progress = ProgressCounter(progress)
        self._uploader = (
            LocalUploader(connection, texts, retries, stop, probes)
            if local
            else Uploader(connection, texts, retries, stop)
        )
        self._groups: "queue.Queue[Optional[List[Upload]]]" = queue.Queue()
        self._ahead = threading.Semaphore(_BATCHES_AHEAD + 1)
        self._open_models: Set[OpenModel] = set()
        self.results: "queue.Queue[Optional[Tuple[int, EmbedResult]]]" = queue.Queue()

    def start(self, models: Iterable[Any], concurrency: int) -> List[threading.Thread]:
        """Starts the threads. They are daemons: a program that ends does not wait for a slow server."""
        streams = [threading.Thread(target=self._guard(self._stream), daemon=True) for _ in range(concurrency)]
        feed = threading.Thread(target=self._guard(lambda: self._feed(models, streams)), daemon=True)
        for thread in (*streams, feed):
            thread.start()
        return [feed, *streams]

    def close(self) -> None:
        """Closes what is still open, once the threads are done."""
        while self._open_models:
            self._open_models.pop().close()

    def _guard(self, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - handed on to the caller's thread
                self._stop.stop(error)

        return run

    def _feed(self, models: Iterable[Any], streams: Sequence[threading.Thread]) -> None:
        batch: List[Tuple[int, Model]] = []
        for at, source in enumerate(models):
            self._stop.check()
            batch.append((at, source if isinstance(source, Model) else Model(source)))
            self._progress.add(models=1)
            if len(batch) == _BATCH_MODELS:
                self._plan(batch)
                batch = []
        if batch:
            self._plan(batch)
        for _ in streams:
            self._groups.put(None)
        for thread in streams:
            thread.join()
        self.results.put(None)

    def _plan(self, batch: Sequence[Tuple[int, Model]]) -> None:
        while not self._ahead.acquire(timeout=POLL_SECONDS):
            self._stop.check()
        uploads = [upload for upload in self._open_all(batch) if upload is not None]
        self._uploader.plan(uploads)
        planned = [upload for upload in uploads if upload.plan is not None and not upload.is_settled]
        small = [upload for upload in planned if wanted_bytes(upload.plan) < _SMALL_BYTES]  # type: ignore[arg-type]
        groups = [small] if small else []
        groups += [[upload] for upload in planned if wanted_bytes(upload.plan) >= _SMALL_BYTES]  # type: ignore[arg-type]
        if not groups:
            self._ahead.release()
            return
        left = _Countdown(len(groups), self._ahead.release)
        for group in groups:
            self._groups.put(_Group(group, left))

    def _stream(self) -> None:
        while True:
            group = self._groups.get()
            if group is None:
                return
            self._stop.check()
            self._uploader.send(group)
            group.left.count()  # type: ignore[attr-defined]

    def _open_all(self, batch: Sequence[Tuple[int, Model]]) -> List[Optional[Upload]]:
        remote = [item for item in batch if isinstance(item[1].source, str) and is_url(item[1].source)]
        if len(remote) < 2:
            return [self._open(at, model) for at, model in batch]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_OPENING_AT_ONCE) as pool:
            return list(pool.map(lambda item: self._open(*item), batch))

    def _open(self, at: int, model: Model) -> Optional[Upload]:
        name = model.id or f"model {at}"
        opened: Optional[OpenModel] = None
        result = EmbedResult(model.id or _to_id(location_of(model.source, name)), location_of(model.source, name))

        def on_end(outcome: Outcome) -> None:
            if opened is not None:
                self._open_models.discard(opened)
            if isinstance(outcome, ProbestreamError):
                result.error = outcome
            else:
                fill_result(result, outcome)
            self._progress.add(models_done=1, models_failed=1 if result.error is not None else 0)
            self.results.put((at, result))

        try:
            opened = open_model(model.source, name, self._headers, self._stop)
        except ProbestreamError as error:
            self._stop.check()
            on_end(error)
            return None
        self._open_models.add(opened)
        result.location = opened.location
        result.model_id = model.id or _to_id(opened.location)
        index = model.index or self._index
        try:
            wire = None if index is None else to_index(index, result.model_id, _claims(opened))
        except ProbestreamError as error:
            opened.close()
            on_end(error)
            return None
        return Upload(opened, result.model_id, self._experts, wire, self._progress, on_end)


class _Group(List[Upload]):
    """Models that share a stream, of a batch whose others are counted down with them."""

    def __init__(self, uploads: Iterable[Upload], left: "_Countdown") -> None:
        super().__init__(uploads)
        self.left = left


class _Countdown:
    def __init__(self, count: int, at_zero: Callable[[], None]) -> None:
        self._count, self._at_zero, self._lock = count, at_zero, threading.Lock()

    def count(self) -> None:
        with self._lock:
            self._count -= 1
            is_zero = self._count == 0
        if is_zero:
            self._at_zero()


def embed_models(
    connection: Connection,
    models: Iterable[Any],
    *,
    experts: Sequence[str],
    texts: Optional[types_pb2.FloatMatrix],
    index: Optional[Index],
    progress: Optional[Callable[[Progress], None]],
    headers: Mapping[str, str],
    concurrency: int,
    retries: int,
    stop: Stop,
    local: bool,
    probes: Optional[str],
) -> Iterator[Tuple[int, EmbedResult]]:
    """Yields results with the places of their models, as streams end: not in order.

    Memory: two or three chunks per stream; headers of some 500 open models.
    """
    connection.check_open()
    run = _Run(connection, experts, texts, index, progress, headers, retries, stop, local, probes)
    threads = run.start(models, concurrency)
    try:
        while True:
            try:
                item = run.results.get(timeout=POLL_SECONDS)
            except queue.Empty:
                stop.check()
                continue
            if item is None:
                stop.check()
                return
            yield item
    finally:
        # Whoever leaves early, by an error or Ctrl-C, leaves nothing running.
        stop.stop(GeneratorExit())
        for _ in range(concurrency):
            run._groups.put(None)
        left_at = time.monotonic() + _LEAVE_SECONDS
        for thread in threads:
            thread.join(timeout=max(0.0, left_at - time.monotonic()))
        run.close()


def _to_id(location: str) -> str:
    """The end of a location. Names of files that are no UTF-8 have question marks in their place."""
    return location[-_ID_CHARACTERS:].encode("utf-8", "replace").decode("utf-8")


def _claims(model: OpenModel) -> Mapping[str, str]:
    return {key: text for key, text in model.metadata.items() if len(text) <= _CLAIM_CHARACTERS}
