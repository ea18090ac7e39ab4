"""The classes that a configuration names: imported only where that is allowed, for configurations come in files too.

Checkpoints and saved folders carry their configuration, and importing a module runs it. Without more ado only this
package's own rooms are imported; a user's classes are, where the user has named them: in the configuration that was
typed (scaseg.commands), by `allow=[PACKAGE]`, or by `scaseg.load(path, allow=("PACKAGE",))`.
"""

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from scaseg.errors import UserError

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_allowed: ContextVar[frozenset[str]] = ContextVar("allowed", default=frozenset())


@contextmanager
def allowing(names: Iterable[str]) -> Iterator[None]:
    """Within it also these may be imported: packages, modules or classes, by their dotted names."""
    given = frozenset(names)
    for name in given:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UserError(f"allow={name}: the name of a package, a module or a class, such as mypackage.decoders")
    token = _allowed.set(_allowed.get() | given)
    try:
        yield
    finally:
        _allowed.reset(token)


def targets(config: Any) -> Iterator[str]:
    """Every `_target_` of a configuration as plain dicts and lists."""
    if isinstance(config, Mapping):
        target = config.get("_target_")
        if isinstance(target, str) and _NAME.fullmatch(target):
            yield target
        for value in config.values():
            yield from targets(value)
    elif isinstance(config, Sequence) and not isinstance(config, str):
        for value in config:
            yield from targets(value)


def named_class(target: str, key: str, rooms: Sequence[str], base: type, what: str) -> Any:
    """The class `target`, a subclass of `base`, imported if it is of one of our `rooms` or allowed.

    key, what: the key that named it, and what it should be, for messages. Raises UserError, where it is not allowed
    before anything is imported.
    """
    where = f"{key}={target}"
    if not _NAME.fullmatch(target) or "." not in target:
        raise UserError(f"{where} is not the name of a class, such as {rooms[0]}.module.Class")
    module, _, attribute = target.rpartition(".")
    ours = any(_within(module, room) for room in rooms)
    if not ours and not any(_within(target, name) for name in _allowed.get()):
        package = target.partition(".")[0]
        raise UserError(
            f"{where} is not one of this package's ({', '.join(rooms)}), and importing it would run its code. If you"
            f" trust it: allow=[{package}], or scaseg.load(path, allow=('{package}',)) in Python"
        )
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{where}: no such class ({error})") from error
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise UserError(f"{where} is not {what}")
    if ours and not any(_within(cls.__module__, room) for room in rooms):
        raise UserError(f"{where} is not defined there but in {cls.__module__}")
    return cls


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
