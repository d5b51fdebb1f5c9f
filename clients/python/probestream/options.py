"""Options of the public calls."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, TypeVar, cast

Call = TypeVar("Call", bound=Callable[..., Any])


def checks_options(call: Call) -> Call:
    """Lets a call say which options it has where it is given another. Python says only that it has not that one.

    Raises:
        TypeError: as Python does for a keyword that is not expected.
    """
    parameters = inspect.signature(call).parameters
    options = [one.name for one in parameters.values() if one.kind is one.KEYWORD_ONLY or one.default is not one.empty]

    @functools.wraps(call)
    def checked(*args: Any, **given: Any) -> Any:
        for name in given:
            if name not in parameters:
                raise TypeError(f'{call.__name__}() has no option "{name}"; it has {", ".join(options)}')
        return call(*args, **given)

    return cast(Call, checked)
