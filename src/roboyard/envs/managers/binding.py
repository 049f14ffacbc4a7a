"""From a term in a config to a call: parameters checked, names resolved, memory created."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic import create_model

from roboyard.config.base import Record
from roboyard.config.tasks import TermConfig
from roboyard.config.tree import from_python
from roboyard.config.validation import checked
from roboyard.envs.managers.presets import change_preset, preset
from roboyard.envs.managers.registry import StatefulTerm, TermFactory, TermInfo, TermSetup, info_of
from roboyard.envs.managers.selections import Selection, check_name, resolve
from roboyard.errors import ConfigError, RobotDescriptionError
from roboyard.registry import Registry


class BoundTerm(NamedTuple):
    """A term that is ready to be called."""

    name: str
    """Its name in the task."""
    call: Callable[[Any], Any]
    """Takes the record (or the context, for an event)."""
    info: TermInfo
    """What its decorator said."""
    memory: StatefulTerm | None
    """The term itself, if it has a memory."""
    params: dict[str, Any]
    """Its parameters, defaults included, as given: names are not resolved."""
    record: Record
    """The same as a record."""
    live: dict[str, Any]
    """The parameters that the call uses; see :meth:`change`. A class has some if it keeps them in
    an attribute ``params``."""
    tunable: frozenset[str]
    """Which of them are no names of joints, links, objects or commands."""

    def change(self, record: Record) -> None:
        """Take over the numbers of another record of its parameters."""
        for name in self.live.keys() & self.tunable:
            self.live[name] = getattr(record, name)
        if self.memory is None:
            change_preset(self.call, self.live)


def bind(
    registry: Registry[TermFactory], place: str, name: str, config: TermConfig, setup: TermSetup
) -> BoundTerm:
    """Return the term that ``config`` describes.

    Args:
        registry: Where to look it up.
        place: List in the task that it stands in, such as ``"rewards"``.
        name: Its name in that list.
        config: The term and its parameters.
        setup: What it may know.

    Raises:
        ConfigError: The term is unknown, or a parameter is wrong; the message names the place.
        RobotDescriptionError: It does not fit the robot.
    """
    where = f"{place}.{name}"
    try:
        target = registry.resolve(config.term or name)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if not callable(target):
        raise ConfigError(f"{where}: '{config.term}' is no function or class.")
    record, selections = _parameters(target, where)
    try:
        given = checked(record, from_python(config.params))
    except ConfigError as error:
        lines = [f"{where}.params.{line}" for line in str(error).splitlines()]
        raise ConfigError("\n".join(lines)) from error
    params = {field: getattr(given, field) for field in record.model_fields}
    resolved = dict(params)
    for field, selection in selections.items():
        if params[field] is None:
            continue
        resolved[field] = _resolved(selection, params[field], setup, f"{where}.{field}")
    fixed = frozenset(selections)
    return _bound(target, name, where, setup, given, resolved, fixed)


def _resolved(selection: Selection, given: Any, setup: TermSetup, where: str) -> Any:  # noqa: ANN401
    if selection.kind in ("joints", "links"):
        return resolve(selection, given, setup.robot, where)
    known = setup.objects if selection.kind == "object" else setup.commands
    return check_name(selection, given, known, where)


def _bound(  # noqa: PLR0917
    target: TermFactory,
    name: str,
    where: str,
    setup: TermSetup,
    given: Record,
    resolved: dict[str, Any],
    fixed: frozenset[str],
) -> BoundTerm:
    info = info_of(target)
    params = {field: getattr(given, field) for field in type(given).model_fields}
    tunable = frozenset(params) - fixed
    if not inspect.isclass(target):
        call = preset(target, resolved)
        return BoundTerm(name, call, info, None, params, given, resolved, tunable)
    try:
        memory = target(setup, **resolved)  # type: ignore[call-arg]
    except (ConfigError, RobotDescriptionError) as error:
        raise type(error)(f"{where}: {error}") from error
    if not isinstance(memory, StatefulTerm):
        raise ConfigError(
            f"{where}: a term that is a class needs the methods reset(state), __call__(state), "
            f"get_state() and set_state(state); '{target.__name__}' lacks some."
        )
    live = getattr(memory, "params", {})
    return BoundTerm(name, memory.__call__, info, memory, params, given, live, tunable)


@functools.lru_cache(maxsize=256)
def _parameters(target: TermFactory, where: str) -> tuple[type[Record], dict[str, Selection]]:
    """Return a record of the term's parameters, and which of them are selections."""
    function = target.__init__ if inspect.isclass(target) else target
    skipped = 2 if inspect.isclass(target) else 1
    try:
        parameters = list(inspect.signature(function).parameters.values())[skipped:]
        hints = get_type_hints(function, include_extras=True)
    except (TypeError, ValueError, NameError) as error:
        raise ConfigError(
            f"{where}: the parameters of '{target.__name__}' cannot be read ({error}). Write the "
            "term in Python, with annotations that can be imported."
        ) from error
    fields: dict[str, Any] = {}
    selections: dict[str, Selection] = {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            raise ConfigError(f"{where}: a term must name its parameters; it has {parameter}.")
        hint = hints.get(parameter.name, Any)
        mark, is_optional = _mark(hint)
        if mark is not None:
            selections[parameter.name] = mark
            hint = str if mark.kind in ("object", "command") else str | tuple[str, ...]
            hint = hint | None if is_optional else hint
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hint, default)
    return create_model("Parameters", __base__=Record, **fields), selections


def _mark(hint: Any) -> tuple[Selection | None, bool]:  # noqa: ANN401
    """Return the selection that a parameter's annotation marks, and whether None is allowed."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for member in members:
        for mark in getattr(member, "__metadata__", ()):
            if isinstance(mark, Selection):
                return mark, NoneType in members
    return None, False
