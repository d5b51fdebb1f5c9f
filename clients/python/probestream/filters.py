"""Conditions on models of the catalogue, written as Python writes comparisons."""

from __future__ import annotations

from typing import Any, Iterable

from probestream.convert import to_scalar
from probestream.gen.v1 import catalogue_service_pb2

_WIRE = catalogue_service_pb2


class Filter:
    """A condition. `a & b` holds where both do, `a | b` where one does, `~a` where it does not."""

    def __init__(self, wire: catalogue_service_pb2.Filter) -> None:
        self.wire = wire

    def __and__(self, other: "Filter") -> "Filter":
        return _join("and", self, other)

    def __or__(self, other: "Filter") -> "Filter":
        return _join("or", self, other)

    def __invert__(self) -> "Filter":
        return Filter(_WIRE.Filter(**{"not": self.wire}))

    def __bool__(self) -> bool:
        raise TypeError("a filter is neither true nor false here: join filters with & | ~, in brackets")

    def __repr__(self) -> str:
        return f"Filter({self.wire})"


class Field:
    """A field of a model. Comparisons give filters."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _compare(self, comparison: Any, *values: Any) -> Filter:
        wire = [to_scalar(value, f"what {self._name} is compared with") for value in values]
        condition = _WIRE.FieldCondition(field=self._name, comparison=comparison, values=wire)
        return Filter(_WIRE.Filter(condition=condition))

    def __eq__(self, value: Any) -> Filter:  # type: ignore[override]
        return self._compare(_WIRE.COMPARISON_EQ, value)

    def __ne__(self, value: Any) -> Filter:  # type: ignore[override]
        return self._compare(_WIRE.COMPARISON_NE, value)

    def __lt__(self, value: Any) -> Filter:
        return self._compare(_WIRE.COMPARISON_LT, value)

    def __le__(self, value: Any) -> Filter:
        return self._compare(_WIRE.COMPARISON_LTE, value)

    def __gt__(self, value: Any) -> Filter:
        return self._compare(_WIRE.COMPARISON_GT, value)

    def __ge__(self, value: Any) -> Filter:
        return self._compare(_WIRE.COMPARISON_GTE, value)

    __hash__ = None  # type: ignore[assignment]

    def is_in(self, values: Iterable[Any]) -> Filter:
        """Equal to one of the values."""
        return self._compare(_WIRE.COMPARISON_IN, *values)

    def exists(self) -> Filter:
        """The model has the field; a tree, a base and hashes exist where they are not empty."""
        return Filter(_WIRE.Filter(exists=self._name))


def field(name: str) -> Field:
    """A field by name.

    `id`, `weights_hash`, `file_hash`, `tree`, `base`, `created_ms`, `updated_ms`; `meta.NAME`, what the user said;
    `claim.NAME`, what the file says.

    >>> (field("meta.style") == "anime") & (field("meta.rank") >= 8)  # doctest: +SKIP
    """
    return Field(name)


def _join(kind: str, *filters: Filter) -> Filter:
    parts = []
    for each in filters:
        # A long chain stays one level deep: a tree may have 64.
        if each.wire.WhichOneof("kind") == kind:
            parts.extend(getattr(each.wire, kind).filters)
        else:
            parts.append(each.wire)
    return Filter(_WIRE.Filter(**{kind: _WIRE.FilterList(filters=parts)}))
