"""The client: one object per server."""

from __future__ import annotations

from typing import Dict, Iterable, List, Literal, Mapping, Optional, TypeVar, Union, cast, overload

from probestream.catalogue import Catalogue
from probestream.connection import Connection, Tls
from probestream.convert import (
    to_answer,
    to_candidates,
    to_classifications,
    to_decision,
    to_duplicates,
    to_expert,
    to_server_info,
)
from probestream.embedding import Embedding
from probestream.errors import ProbestreamError, from_model_error
from probestream.gen.v1 import (
    expert_service_pb2,
    expert_service_pb2_grpc,
    retrieval_service_pb2,
    retrieval_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)
from probestream.models import (
    Model,
    ModelExample,
    ModelSource,
    Names,
    Query,
    is_one_example,
    to_model_example,
    to_names,
    to_query,
    to_uint32,
)
from probestream.options import checks_options
from probestream.results import (
    Answer,
    Classification,
    Duplicates,
    Expert,
    Experts,
    Route,
    ServerInfo,
)
from probestream.sources.open_model import open_model
from probestream.stopping import Stop
from probestream.upload.manifest import to_manifest

#: Where a server listens if nothing else is said.
DEFAULT_TARGET = "127.0.0.1:50051"

#: Bytes of a layer that `route` sends at most: messages have 4 MiB.
_ROUTE_BYTES = 3 * 1024 * 1024

Answered = TypeVar("Answered", Answer, Classification, Duplicates)

#: How probabilities of labels come about; see `classify`.
Mode = Literal["one_of_many", "any_of_many"]

_MODES = {
    None: retrieval_service_pb2.CLASSIFY_MODE_UNSPECIFIED,
    "one_of_many": retrieval_service_pb2.CLASSIFY_MODE_ONE_OF_MANY,
    "any_of_many": retrieval_service_pb2.CLASSIFY_MODE_ANY_OF_MANY,
}


@checks_options
def connect(
    target: str = DEFAULT_TARGET,
    *,
    tls: Union[bool, Tls, None] = None,
    token: Optional[str] = None,
    timeout: float = 60.0,
) -> "Client":
    """Connects to a server. Nothing is sent until the first call.

    Args:
        target: `HOST:PORT`.
        tls: True for TLS with the authorities that grpcio brings, or `Tls(...)` with files; None for plaintext.
        token: sent with every call as `authorization: Bearer …`. Beyond this machine only over TLS.
        timeout: seconds that a call other than an upload may take.
    """
    return Client(Connection(target, tls, token, timeout))


class Client(Embedding, Catalogue):
    """A connection to a server. Close it, or use it in a `with`. May be used by several threads.

    Every method raises `ProbestreamError`. Of a batch, items that were refused carry their error as `error` instead.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._experts = expert_service_pb2_grpc.ExpertServiceStub(connection.channel)
        self._retrieval = retrieval_service_pb2_grpc.RetrievalServiceStub(connection.channel)
        self._server = server_service_pb2_grpc.ServerServiceStub(connection.channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all calls."""
        self._connection.close()

    @checks_options
    def route(
        self,
        model: Union[ModelSource, Model],
        *,
        experts: Names = (),
        headers: Optional[Mapping[str, str]] = None,
    ) -> Route:
        """Says which expert would serve a model, by as little of its layer as it takes. Commits nothing.

        Args:
            model: one, as `embed` takes it.
            experts: to choose from, by name or space id; none: all.
            headers: sent to the server of a URL, as `embed` sends them.
        """
        given = model if isinstance(model, Model) else Model(model)
        stop = Stop(timeout=self._connection.timeout)
        opened = open_model(given.source, given.id or "model", headers or {}, stop)
        try:
            model_id, names = given.id or opened.location[-200:], to_names(experts)
            manifest = to_manifest(self._connection, opened, model_id, "", names, stop)
            request = expert_service_pb2.RouteModelRequest(manifest=manifest)
            answer = self._connection.unary(self._experts.RouteModel, request, stop=stop)
            sent = 0
            for is_whole in (False, True):
                if answer.decision != expert_service_pb2.ROUTE_DECISION_UNDECIDED or not answer.tensors:
                    break
                lengths = [item.end_byte - item.begin_byte for item in answer.tensors]
                before = sum(lengths[:-1])
                last = min(lengths[-1] if is_whole else answer.prefix_bytes, _ROUTE_BYTES - before)
                if last <= 0 or before + last <= sent:
                    break
                lengths[-1] = last
                sent = before + last
                del request.prefixes[:]
                for item, length in zip(answer.tensors, lengths):
                    pieces = opened.stream(item.tensor.name, item.begin_byte, item.begin_byte + length, 1 << 20, stop)
                    request.prefixes.add(tensor=item.tensor.name, data=b"".join(bytes(piece) for piece in pieces))
                answer = self._connection.unary(self._experts.RouteModel, request, stop=stop)
            return Route(to_decision(answer), to_candidates(answer.candidates), sent)
        finally:
            opened.close()

    @overload
    def retrieve(  # type: ignore[overload-overlap]
        self, queries: Union[str, Query], *, with_records: bool = False
    ) -> Answer: ...

    @overload
    def retrieve(self, queries: Iterable[Union[str, Query]], *, with_records: bool = False) -> List[Answer]: ...

    @checks_options
    def retrieve(
        self, queries: Union[str, Query, Iterable[Union[str, Query]]], *, with_records: bool = False
    ) -> Union[Answer, List[Answer]]:
        """Finds models that fit.

        Args:
            queries: a text or a `Query`; or any number of them, which travel together.
            with_records: whether hits bring their models' records.

        Returns:
            Of one query its answer; its error is raised. Of several a list, each with its hits or its error. A
            `Hit` has `model_id`, `space_id`, `cosine`, `score` and `record`.
        """
        if isinstance(queries, (str, Query)):
            return _unless_error(self.retrieve([queries], with_records=with_records)[0])
        answers: List[Answer] = []
        for batch in self._split(map(to_query, queries)):
            request = retrieval_service_pb2.BatchRetrieveRequest(queries=batch, with_records=with_records)
            answers.extend(map(to_answer, self._connection.unary(self._retrieval.BatchRetrieve, request).answers))
        return answers

    @overload
    def classify(
        self,
        models: ModelExample,
        labels: Names = (),
        *,
        experts: Names = (),
        mode: Optional[Mode] = None,
        top: int = 0,
    ) -> Classification: ...

    @overload
    def classify(
        self,
        models: Iterable[ModelExample],
        labels: Names = (),
        *,
        experts: Names = (),
        mode: Optional[Mode] = None,
        top: int = 0,
    ) -> List[Classification]: ...

    @checks_options
    def classify(
        self,
        models: Union[ModelExample, Iterable[ModelExample]],
        labels: Names = (),
        *,
        experts: Names = (),
        mode: Optional[Mode] = None,
        top: int = 0,
    ) -> Union[Classification, List[Classification]]:
        """Says how well labels fit a model, or each of several. The server needs a store, of whatever the model is.

        Args:
            models: `Stored(id)`, a result of `embed`, or (space id, numbers); or a list of them.
            labels: to choose from; none: the expert's label bank.
            experts: to ask, where a model is known to several.
            mode: "one_of_many" shares a probability of 1 out among the labels given, so that one may have nearly all of
                it though none fits; "any_of_many" judges each label by itself; None: what the expert was trained for.
            top: labels per model; 0: all.

        Returns:
            Of one model its answer; its error is raised. Of several a list, each with its labels or its error.
        """
        if is_one_example(models):
            one = cast(ModelExample, models)
            return _unless_error(self.classify([one], labels, experts=experts, mode=mode, top=top)[0])
        if mode not in _MODES:
            raise ProbestreamError("FIELD_INVALID", f"mode is {mode!r}; it can be one_of_many or any_of_many")
        choices, names, most = to_names(labels), to_names(experts), to_uint32(top, "top")
        answers: List[Classification] = []
        for batch in self._split(map(to_model_example, cast("Iterable[ModelExample]", models))):
            request = retrieval_service_pb2.ClassifyRequest(
                models=batch, labels=choices, experts=names, mode=_MODES[mode], top=most
            )
            answers.extend(to_classifications(self._connection.unary(self._retrieval.Classify, request)))
        return answers

    @overload
    def find_duplicates(  # type: ignore[overload-overlap]
        self, model_ids: str, *, min_cosine: Optional[float] = None, k: int = 0, experts: Names = ()
    ) -> Duplicates: ...

    @overload
    def find_duplicates(
        self, model_ids: Iterable[str], *, min_cosine: Optional[float] = None, k: int = 0, experts: Names = ()
    ) -> List[Duplicates]: ...

    @checks_options
    def find_duplicates(
        self,
        model_ids: Names,
        *,
        min_cosine: Optional[float] = None,
        k: int = 0,
        experts: Names = (),
    ) -> Union[Duplicates, List[Duplicates]]:
        """Finds models that are nearly the same as others.

        Args:
            model_ids: of models of the catalogue: one, or any number.
            min_cosine: what is nearly the same; None: from 0.999 on.
            k: copies per model at most; 0 stands for 100.
            experts: in whose spaces to look, as in `Query`.

        Returns:
            Of one model its copies; its error is raised. Of several a list, each with its copies or its error.
        """
        if isinstance(model_ids, str):
            return _unless_error(self.find_duplicates([model_ids], min_cosine=min_cosine, k=k, experts=experts)[0])
        names, most = to_names(experts), to_uint32(k, "k")
        answers: List[Duplicates] = []
        for batch in self._split(to_names(model_ids)):
            request = retrieval_service_pb2.FindDuplicatesRequest(
                model_ids=batch, min_cosine=min_cosine, k=most, experts=names
            )
            answers.extend(map(to_duplicates, self._connection.unary(self._retrieval.FindDuplicates, request).answers))
        return answers

    def experts(self) -> Experts:
        """All experts of the server, and folders of its catalogue that hold none."""
        found: List[Expert] = []
        unusable: Dict[str, ProbestreamError] = {}
        token = ""
        while True:
            request = expert_service_pb2.ListExpertsRequest(page_size=1000, page_token=token)
            page = self._connection.unary(self._experts.ListExperts, request)
            found.extend(map(to_expert, page.experts))
            if token == "":
                unusable = {one.name: from_model_error(one.error) for one in page.unusable}
            token = page.next_page_token
            if token == "":
                return Experts(found, unusable)

    def get_expert(self, expert: str) -> Expert:
        """One expert by name, space id or an unambiguous prefix of it."""
        request = expert_service_pb2.GetExpertRequest(expert=expert)
        return to_expert(self._connection.unary(self._experts.GetExpert, request).expert)

    def server_info(self) -> ServerInfo:
        """What the server is and what it allows."""
        return to_server_info(
            self._connection.unary(self._server.GetServerInfo, server_service_pb2.GetServerInfoRequest())
        )


def _unless_error(answer: Answered) -> Answered:
    if answer.error is not None:
        raise answer.error
    return answer
