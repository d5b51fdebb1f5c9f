"""The part of the client that embeds models."""

from __future__ import annotations

import threading
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union, cast, overload

import numpy.typing as npt

from probestream.connection import Connection
from probestream.convert import to_matrix
from probestream.errors import ProbestreamError
from probestream.models import Index, Model, ModelSource, Names, Texts, to_names
from probestream.options import checks_options
from probestream.results import EmbedResult
from probestream.sources.open_model import is_one_model
from probestream.stopping import Stop
from probestream.upload.embed_models import embed_models
from probestream.upload.progress import Progress


class Embedding:
    """The calls that stream weights, or their sums."""

    _connection: Connection

    @overload
    def embed(  # type: ignore[overload-overlap]
        self,
        models: Union[ModelSource, Model],
        *,
        experts: Names = (),
        texts: Union[Texts, npt.ArrayLike, None] = None,
        index: Union[Index, bool, None] = None,
        progress: Optional[Callable[[Progress], None]] = None,
        cancel: Optional[threading.Event] = None,
        timeout: Optional[float] = None,
        headers: Optional[Mapping[str, str]] = None,
        concurrency: int = 4,
        retries: int = 6,
        local: bool = False,
        probes: Optional[str] = None,
    ) -> EmbedResult: ...

    @overload
    def embed(
        self,
        models: Iterable[Union[ModelSource, Model]],
        *,
        experts: Names = (),
        texts: Union[Texts, npt.ArrayLike, None] = None,
        index: Union[Index, bool, None] = None,
        progress: Optional[Callable[[Progress], None]] = None,
        cancel: Optional[threading.Event] = None,
        timeout: Optional[float] = None,
        headers: Optional[Mapping[str, str]] = None,
        concurrency: int = 4,
        retries: int = 6,
        local: bool = False,
        probes: Optional[str] = None,
    ) -> List[EmbedResult]: ...

    @checks_options
    def embed(
        self,
        models: Union[ModelSource, Model, Iterable[Union[ModelSource, Model]]],
        *,
        experts: Names = (),
        texts: Union[Texts, npt.ArrayLike, None] = None,
        index: Union[Index, bool, None] = None,
        progress: Optional[Callable[[Progress], None]] = None,
        cancel: Optional[threading.Event] = None,
        timeout: Optional[float] = None,
        headers: Optional[Mapping[str, str]] = None,
        concurrency: int = 4,
        retries: int = 6,
        local: bool = False,
        probes: Optional[str] = None,
    ) -> Union[EmbedResult, List[EmbedResult]]:
        """Streams models to the server and returns their representations.

        Args:
            models: one model: a path or URL of a safetensors file or an index of shards, or a folder with one; the
                bytes of a safetensors file; arrays of NumPy or PyTorch by name; a module of PyTorch; a `Model` with a
                name. Or several, in any iterable, which is read in another thread, as far ahead as it takes.
            experts: by name or space id; none: the weights choose, or the only one that fits serves.
            texts: text vectors to compare representations with, one per row.
            index: True or an `Index`: puts models into the server's catalogue.
            progress: hears of every change, from other threads; what it raises ends the call.
            cancel: ends the call with the code CANCELLED when it is set. Ctrl-C does as well.
            timeout: seconds for all of it; None: as long as it takes.
            headers: sent to the servers of URLs, a token say. `HF_TOKEN` is sent to Hugging Face by itself.
            concurrency: streams at once.
            retries: further attempts after a failure that may pass, as long as none of them gets on. With 6, a server
                that is not there is known by its error after some ten seconds; with 0, at once.
            local: projects here, with NumPy: the weights never leave this process, only sums of them do, some 64 KiB,
                and names, shapes, metadata and a digest. Results have no tree, and experts of Model Trees must be
                named.
            probes: with `local`, the folder where experts' probes are kept once they are fetched; None:
                `probestream/probes` in the user's cache folder.

        Returns:
            Of one model its result; its error is raised. Of several a list of results in their order, each with its
            embeddings or its error.
        """
        is_one = isinstance(models, Model) or is_one_model(models)
        if not is_one and not isinstance(models, Iterable):
            kind = type(models).__name__
            message = f"a model is given as a {kind}; give a path, a URL, bytes, arrays by name, or a list of models"
            raise ProbestreamError("FIELD_INVALID", message)
        found: Dict[int, EmbedResult] = dict(
            self.embed_iter(
                cast("Iterable[Union[ModelSource, Model]]", [models] if is_one else models),
                experts=experts,
                texts=texts,
                index=index,
                progress=progress,
                cancel=cancel,
                timeout=timeout,
                headers=headers,
                concurrency=concurrency,
                retries=retries,
                local=local,
                probes=probes,
            )
        )
        if not is_one:
            return [found[at] for at in sorted(found)]
        error = found[0].error
        if error is not None:
            raise error
        return found[0]

    @checks_options
    def embed_iter(
        self,
        models: Iterable[Union[ModelSource, Model]],
        *,
        experts: Names = (),
        texts: Union[Texts, npt.ArrayLike, None] = None,
        index: Union[Index, bool, None] = None,
        progress: Optional[Callable[[Progress], None]] = None,
        cancel: Optional[threading.Event] = None,
        timeout: Optional[float] = None,
        headers: Optional[Mapping[str, str]] = None,
        concurrency: int = 4,
        retries: int = 6,
        local: bool = False,
        probes: Optional[str] = None,
    ) -> Iterator[Tuple[int, EmbedResult]]:
        """Like `embed`, for as many models as there are: yields (place, result) as they are done, not in order.

        Args:
            models: any iterable; it is read in another thread, as far ahead as it takes.
            options: those of `embed`.
        """
        if concurrency < 1:
            raise ProbestreamError("FIELD_INVALID", f"concurrency is {concurrency}; give a number of streams from 1 on")
        if retries < 0:
            raise ProbestreamError("FIELD_INVALID", f"retries is {retries}; give a number from 0 on, 0 for no retry")
        matrix = None if texts is None else to_matrix(texts.vectors if isinstance(texts, Texts) else texts)
        return embed_models(
            self._connection,
            models,
            experts=to_names(experts),
            texts=matrix,
            index=Index() if index is True else index or None,
            progress=progress,
            headers=headers or {},
            concurrency=concurrency,
            retries=retries,
            stop=Stop(cancel, timeout),
            local=local,
            probes=probes,
        )
