"""Functions with parameters filled in, for terms: they are called at every control step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any


def preset(function: Callable[..., Any], params: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return ``function`` with all but its first parameter filled in.

    It is a copy that has ``params`` for its defaults: calling it costs what a plain call costs,
    while ``functools.partial`` puts the arguments together anew each time. What is not written in
    Python, or stands in front of another function, gets a partial all the same.
    """
    if not params:
        return function
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        return functools.partial(function, **params)
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, None, function.__closure__
    )
    change_preset(copy, params)
    return copy


def change_preset(call: Callable[[Any], Any], params: Mapping[str, Any]) -> None:
    """Fill in other ``params``, all of them, in what :func:`preset` returned."""
    if isinstance(call, functools.partial):
        call.keywords.update(params)
    elif isinstance(call, FunctionType):
        code = call.__code__
        names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        positional = names[: code.co_argcount - 1]
        call.__defaults__ = tuple(params[name] for name in positional)
        call.__kwdefaults__ = {name: params[name] for name in names if name not in positional}
