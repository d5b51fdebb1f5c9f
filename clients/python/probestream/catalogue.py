"""The catalogue of models that a server keeps."""

from __future__ import annotations

import threading
from typing import Iterable, Iterator, List, Mapping, Optional, TypeVar

from probestream.connection import Connection, batches
from probestream.convert import from_record, to_record, to_scalars, to_space
from probestream.filters import Filter
from probestream.gen.v1 import catalogue_service_pb2, catalogue_service_pb2_grpc
from probestream.models import Metadatum, Names, to_filter, to_names, to_uint32
from probestream.options import checks_options
from probestream.results import Record, Spaces
from probestream.stopping import Stop

#: Records in one message of an import; a message has 4 MiB.
_IMPORT_RECORDS = 256
_IMPORT_BYTES = 2 * 1024 * 1024

#: Items of one call that any server takes.
_CERTAIN_ITEMS = 100

T = TypeVar("T")


class Catalogue:
    """The part of the client that reads and changes the server's catalogue."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._catalogue = catalogue_service_pb2_grpc.CatalogueServiceStub(connection.channel)

    def spaces(self) -> Spaces:
        """Spaces of the catalogue: one per expert that models were indexed under."""
        answer = self._connection.unary(self._catalogue.ListSpaces, catalogue_service_pb2.ListSpacesRequest())
        return Spaces([to_space(space) for space in answer.spaces], answer.store)

    @checks_options
    def get(
        self,
        model_ids: Names = (),
        *,
        weights_hashes: Names = (),
        spaces: Names = (),
        with_representations: bool = False,
    ) -> List[Record]:
        """Records of models by id, or by the hash of their weights. What is not there is left out.

        Args:
            model_ids: one, or any number.
            weights_hashes: of layers, as `EmbedResult.weights_hash` has it; one, or any number.
            spaces: to look in, by space id or expert's name; none: all.
            with_representations: whether to bring representations.

        Returns:
            One per model and space, in the order asked for.
        """
        asked = [("model_ids", one) for one in to_names(model_ids)]
        asked += [("weights_hashes", one) for one in to_names(weights_hashes)]
        places = to_names(spaces)
        records: List[Record] = []
        for batch in self._split(asked):
            request = catalogue_service_pb2.GetModelsRequest(spaces=places, with_representations=with_representations)
            for name, value in batch:
                getattr(request, name).append(value)
            records.extend(map(to_record, self._connection.unary(self._catalogue.GetModels, request).records))
        return records

    @checks_options
    def list(
        self,
        *,
        space: str = "",
        filter: Optional[Filter] = None,
        page_size: int = 1000,
        with_representations: bool = False,
    ) -> Iterator[Record]:
        """All records of a space, ordered by id, page by page as they are taken.

        Args:
            space: space id, an unambiguous prefix, or an expert's name; "": the only space that serves.
            filter: condition on models; see `field`.
            page_size: records that are asked for at a time.
            with_representations: whether to bring representations.
        """
        token = ""
        while True:
            request = catalogue_service_pb2.ListModelsRequest(
                space=space,
                filter=to_filter(filter),
                page_size=to_uint32(page_size, "page_size"),
                page_token=token,
                with_representations=with_representations,
            )
            page = self._connection.unary(self._catalogue.ListModels, request)
            yield from map(to_record, page.records)
            token = page.next_page_token
            if token == "":
                return

    @checks_options
    def update(
        self, model_id: str, set: Optional[Mapping[str, Metadatum]] = None, remove: Names = ()
    ) -> "List[Record]":
        """Changes what the user said of a model, in all spaces at once, and returns it as it is now.

        Args:
            set: what to say of it, by name; what was said under other names stays.
            remove: names of what is said no more.

        Returns:
            A record per space.
        """
        request = catalogue_service_pb2.UpdateModelRequest(
            model_id=model_id, set=to_scalars(set or {}), remove=to_names(remove)
        )
        answer = self._connection.unary(self._catalogue.UpdateModel, request, safe=False)
        return [to_record(record) for record in answer.records]

    @checks_options
    def delete(self, model_ids: Names, *, space: str = "") -> int:
        """Removes models and returns how many were there.

        Args:
            model_ids: one, or any number.
            space: to remove them of, by space id or expert's name; "": all.
        """
        count = 0
        for batch in self._split(to_names(model_ids)):
            request = catalogue_service_pb2.DeleteModelsRequest(model_ids=batch, space=space)
            count += self._connection.unary(self._catalogue.DeleteModels, request, safe=False).deleted_count
        return count

    @checks_options
    def export(
        self,
        *,
        space: str = "",
        filter: Optional[Filter] = None,
        cancel: Optional[threading.Event] = None,
        timeout: Optional[float] = None,
    ) -> Iterator[Record]:
        """All records of a space with their representations, ordered by id, as they come.

        Args:
            space: space id, an unambiguous prefix, or an expert's name; "": the only space that serves.
            filter: condition on models; see `field`.
            cancel: ends the call when it is set.
            timeout: seconds for all of it; None: as long as it takes.
        """
        request = catalogue_service_pb2.ExportModelsRequest(space=space, filter=to_filter(filter))
        for message in self._connection.stream(self._catalogue.ExportModels, request, timeout, Stop(cancel, timeout)):
            yield from map(to_record, message.records)

    @checks_options
    def import_records(
        self,
        records: Iterable[Record],
        *,
        space_id: str,
        expert_name: str = "",
        fill: bool = False,
        cancel: Optional[threading.Event] = None,
        timeout: Optional[float] = None,
    ) -> int:
        """Writes records as `export` gives them and returns how many. What is there already is replaced.

        Args:
            records: all of one space.
            space_id: the space; made if it is not there.
            expert_name: the expert's name, for a new space.
            fill: whether a new space waits until it is switched to.
            cancel: ends the call when it is set; what was written stays.
            timeout: seconds for all of it.
        """
        stop = Stop(cancel, timeout)
        failure: List[BaseException] = []

        def messages() -> Iterator[catalogue_service_pb2.ImportModelsRequest]:
            # What an iterator raises shows as a cancelled call: the cause is kept beside.
            try:
                for batch in _record_batches(records):
                    yield catalogue_service_pb2.ImportModelsRequest(
                        records=batch, space_id=space_id, expert_name=expert_name, fill=fill
                    )
            except BaseException as error:
                failure.append(error)
                raise

        self._connection.check_open()
        method = self._catalogue.ImportModels
        metadata = self._connection.metadata
        try:
            answer = self._connection.wait(lambda: method.future(messages(), timeout=timeout, metadata=metadata), stop)
        except Exception:
            if failure and isinstance(failure[0], Exception):
                raise failure[0] from None
            raise
        return int(answer.imported_count)

    @checks_options
    def switch_spaces(self, serve: Names, retire: Names = ()) -> None:
        """Lets spaces that were filled take the place of others, all at once.

        Args:
            serve: space ids of those that shall serve.
            retire: space ids of those that serve no more.
        """
        request = catalogue_service_pb2.SwitchSpacesRequest(serve=to_names(serve), retire=to_names(retire))
        self._connection.unary(self._catalogue.SwitchSpaces, request, safe=False)

    def drop_space(self, space_id: str) -> None:
        """Removes a space and all its records."""
        request = catalogue_service_pb2.DropSpaceRequest(space_id=space_id)
        self._connection.unary(self._catalogue.DropSpace, request, safe=False)

    def _split(self, items: "Iterable[T]") -> "Iterator[List[T]]":
        """Items in lists that the server takes in one call. It is asked how many only where there are many."""
        known = list(items)
        most = len(known) if len(known) <= _CERTAIN_ITEMS else self._connection.limits().max_queries or _CERTAIN_ITEMS
        return batches(known, max(1, most))


def _record_batches(records: Iterable[Record]) -> Iterator["List[catalogue_service_pb2.ModelRecord]"]:
    batch: List[catalogue_service_pb2.ModelRecord] = []
    size = 0
    for record in records:
        wire = from_record(record)
        length = wire.ByteSize()
        if batch and (len(batch) == _IMPORT_RECORDS or size + length > _IMPORT_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(wire)
        size += length
    if batch:
        yield batch
