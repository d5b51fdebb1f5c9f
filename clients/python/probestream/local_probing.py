"""Embeds models whose weights stay here: projects them in this process, and sends the sums in their place."""

from __future__ import annotations

import uuid
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from probestream.connection import Connection
from probestream.errors import ProbestreamError, from_model_error
from probestream.gen.v1 import embedding_service_pb2, types_pb2
from probestream.projection.probe_cache import ACCUMULATOR, ProbeCache, default_folder
from probestream.projection.project import project
from probestream.projection.widen import ITEM_BYTES
from probestream.results import FloatArray
from probestream.stopping import Stop
from probestream.upload.send_model import CHUNK_BYTES
from probestream.upload.upload import Planned, Upload
from probestream.upload.uploader import Uploader, settle_or_restart, to_remedy

_WIRE = embedding_service_pb2

#: Room that a request leaves for its tags and lengths.
_SLACK_BYTES = 4096


class LocalUploader(Uploader):
    """Plans as any upload is planned, projects here, and sends the sums: 64 KiB per expert at 128 × 128.

    The results are those of streaming, but for rounding, and without a tree: no sketch of the layer is made here.
    """

    def __init__(
        self,
        connection: Connection,
        texts: Optional[types_pb2.FloatMatrix],
        retries: int,
        stop: Stop,
        folder: Optional[str] = None,
    ) -> None:
        super().__init__(connection, texts, retries, stop)
        self._cache = ProbeCache(connection, folder or default_folder())

    def plan(self, uploads: Sequence[Upload]) -> None:
        # What an earlier upload brought to the server is of no use here: its id is another.
        for upload in uploads:
            upload.upload_id = uuid.uuid4().hex
        super().plan(uploads)

    def _send_once(self, uploads: Sequence[Upload]) -> Optional[ProbestreamError]:
        projected: List[Tuple[Upload, embedding_service_pb2.ProjectedModel, int]] = []
        for upload in uploads:
            if upload.plan is None:
                continue
            try:
                projected.append((upload, *self._project(upload, upload.plan)))
            except ProbestreamError as error:
                self._stop.check()
                if to_remedy(error) == "resume":
                    raise
                settle_or_restart(upload, error)
        setback: Optional[ProbestreamError] = None
        for batch in self._batches(projected):
            request = _WIRE.EmbedProjectionRequest(models=[model for _, model, _ in batch], text_vectors=self._texts)
            answer = self._connection.unary(self._stub.EmbedProjection, request, stop=self._stop, safe=False)
            self._answers += 1
            if not answer.results:
                raise ProbestreamError("INTERNAL", "the server answered without a word on any of its models")
            # Those without a result are sent again: they have a plan still.
            for (upload, _, rows), result in zip(batch, answer.results):
                setback = self._settle(upload, result, rows) or setback
        return setback

    def _settle(
        self, upload: Upload, result: embedding_service_pb2.ModelResult, rows: int
    ) -> Optional[ProbestreamError]:
        """Ends a model, or says what kept it from getting on."""
        if result.WhichOneof("outcome") == "embedding":
            result.embedding.rows_projected = rows
            result.embedding.backends.add(name="numpy", device=f"NumPy {np.__version__}, here", rows=rows)
            upload.settle(result)
            return None
        error = from_model_error(result.error)
        if to_remedy(error) == "resume":
            upload.plan = None
            return error
        settle_or_restart(upload, error)
        return None

    def _project(self, upload: Upload, plan: Planned) -> "Tuple[embedding_service_pb2.ProjectedModel, int]":
        _assert_possible(upload, plan)
        probes = {target.space_id: self._cache.get(target.space_id, self._stop) for target in plan.targets}

        def read(name: str, begin: int, end: int) -> Iterator[memoryview]:
            return upload.model.stream(name, begin, end, CHUNK_BYTES, self._stop)

        states, digest, rows = project(plan, probes, read, upload.count)
        targets = [
            _WIRE.ProjectionTarget(space_id=target.space_id, accumulator=ACCUMULATOR, state=_to_tensors(state))
            for target, state in zip(plan.targets, states)
        ]
        model = _WIRE.ProjectedModel(
            model_id=upload.model_id,
            tensors=plan.tensors,
            targets=targets,
            routed=plan.routed,
            weights_digest=digest,
            index=upload.index,
        )
        return model, rows

    def _batches(
        self, projected: "List[Tuple[Upload, embedding_service_pb2.ProjectedModel, int]]"
    ) -> "Iterator[List[Tuple[Upload, embedding_service_pb2.ProjectedModel, int]]]":
        """As many models as go into one message, until each is settled or planned anew."""
        limits = self._connection.limits(self._stop)
        room = limits.max_message_bytes - _SLACK_BYTES - (0 if self._texts is None else self._texts.ByteSize())
        while True:
            waiting = [item for item in projected if item[0].plan is not None and not item[0].is_settled]
            if not waiting:
                return
            batch: List[Tuple[Upload, embedding_service_pb2.ProjectedModel, int]] = []
            size = 0
            for item in waiting[: limits.max_stream_models]:
                own = item[1].ByteSize() + 8
                if batch and size + own > room:
                    break
                batch.append(item)
                size += own
            if size > room:
                batch[0][0].settle(_too_large(batch[0][0].model_id, size, room))
                continue
            yield batch


def _to_tensors(state: Mapping[str, FloatArray]) -> List[embedding_service_pb2.NamedTensor]:
    return [
        _WIRE.NamedTensor(name=name, shape=values.shape, data=values.astype("<f4").tobytes())
        for name, values in state.items()
    ]


def _assert_possible(upload: Upload, plan: Planned) -> None:
    """Guards what only a sketch of the layer decides, and that its numbers can be read."""
    if plan.routed and any(target.sketch for target in plan.targets):
        which = "an expert of a Model Tree" if len(plan.targets) == 1 else f"{len(plan.targets)} experts of Model Trees"
        message = (
            f'{which} may serve "{upload.model_id}", and the weights would have to say whether it belongs there, for'
            " which local=True makes no sketch; name an expert (experts=), or stream the weights"
        )
        names = " ".join(target.space_id for target in plan.targets)
        raise ProbestreamError("EXPERT_AMBIGUOUS", message, {"candidates": names})
    for item in plan.tensors:
        if item.tensor.dtype not in ITEM_BYTES:
            message = f'tensor "{item.tensor.name}" is of a type that cannot be projected here; stream the weights'
            raise ProbestreamError("DTYPE_UNSUPPORTED", message, {"tensor": item.tensor.name})


def _too_large(model_id: str, size: int, limit: int) -> ProbestreamError:
    message = (
        f'the sums of "{model_id}" take {size} bytes, and the server takes {limit} at a time beside the text vectors;'
        " name fewer experts, compare with fewer texts, or stream the weights"
    )
    return ProbestreamError("LIMIT_EXCEEDED", message, {"found": size, "limit": limit})
