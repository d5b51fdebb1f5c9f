"""One model on its way: its plan, how far it got, and how it ended."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Callable, Optional, Sequence, Union

from probestream.digests import SEGMENT_BYTES
from probestream.errors import ProbestreamError
from probestream.gen.v1 import embedding_service_pb2
from probestream.sources.model import OpenModel
from probestream.upload.progress import ProgressCounter

Planned = embedding_service_pb2.PlannedModel
Outcome = Union[embedding_service_pb2.ModelResult, ProbestreamError]


class Upload:
    """Its id follows from the file and the experts, so that a later process goes on with it."""

    def __init__(
        self,
        model: OpenModel,
        model_id: str,
        experts: Sequence[str],
        index: Optional[embedding_service_pb2.IndexRequest],
        progress: ProgressCounter,
        on_end: Callable[[Outcome], None],
    ) -> None:
        self.model = model
        self.model_id = model_id
        self.experts = list(experts)
        self.index = index
        self.upload_id = uuid.uuid4().hex if model.identity is None else _to_id(model.identity, experts)
        self.plan: Optional[Planned] = None
        #: Bytes that the server had at the last plan: what failures in between are measured against.
        self.reached_bytes = 0
        self.is_settled = False
        self._progress = progress
        self._on_end = on_end
        self._wanted_bytes = 0
        self._done_bytes = 0
        self._is_restarted = False
        self._is_rerouted = False

    def begin(self, plan: Planned) -> None:
        """Takes a plan over. One too small to be resumed gets an id of its own, lest two runs push each other out."""
        wanted = wanted_bytes(plan)
        if wanted < SEGMENT_BYTES:
            plan.upload_id = uuid.uuid4().hex
        self.plan = plan
        done = sum(start.offset for start in plan.starts)
        self.reached_bytes = done
        self._progress.add(bytes_wanted=wanted - self._wanted_bytes, bytes_done=done - self._done_bytes)
        self._wanted_bytes, self._done_bytes = wanted, done

    def count(self, sent: int) -> None:
        """Counts bytes that were sent."""
        self._done_bytes += sent
        self._progress.add(bytes_done=sent, bytes_sent=sent)

    def restart(self) -> bool:
        """Begins anew under another id; false if that has been tried already."""
        if self._is_restarted:
            return False
        self._is_restarted = True
        self.upload_id = uuid.uuid4().hex
        self.plan = None
        return True

    def reroute(self, space_id: str) -> bool:
        """Begins anew under the same id, for this expert; false if that has been done already."""
        if self._is_rerouted:
            return False
        self._is_rerouted = True
        self.experts = [space_id]
        self.plan = None
        return True

    def settle(self, outcome: Outcome) -> None:
        """Ends it. Only the first call counts."""
        if self.is_settled:
            return
        self.is_settled = True
        self._progress.add(bytes_done=self._wanted_bytes - self._done_bytes)
        self.model.close()
        self._on_end(outcome)


def wanted_bytes(plan: Planned) -> int:
    """Bytes of all ranges of a plan."""
    return sum(item.end_byte - item.begin_byte for item in plan.tensors)


def _to_id(identity: str, experts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps([identity, list(experts)]).encode()).hexdigest()[:40]
