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
from scaseg.typed import Part, Plain

OURS = "scaseg"
MODELS = ("scaseg.models.encoders", "scaseg.models.decoders")
DATASETS = ("scaseg.data",)
TRANSFORMS = ("albumentations",)
LOSSES = ("scaseg.losses",)
DISTILLATION = ("scaseg.distillation",)
OPTIMIZERS = ("torch.optim", "timm.optim")
SCHEDULES = ("scaseg.schedules",)
LOGGERS = ("scaseg.training.loggers",)
CALLBACKS = ("lightning.pytorch.callbacks",)
ROOMS = (*MODELS, *DATASETS, *TRANSFORMS, *LOSSES, *DISTILLATION, *OPTIMIZERS, *SCHEDULES, *LOGGERS, *CALLBACKS)
Base = type | tuple[type, ...]
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


def check_named(config: Any, where: str) -> None:
    """UserError, naming the file, where a configuration that it holds names a class that is not to be imported."""
    for target in targets(config):
        if not _importable(target, ROOMS):
            raise _refused(where, target)


def named_class(target: str, key: str, rooms: Sequence[str], base: Base, what: str) -> Any:
    """The class `target`, a subclass of `base`, or of one of these, imported if it is of one of our `rooms` or allowed.

    key, what: the key that named it, and what it should be, for messages. Raises UserError, where it is not allowed
    before anything is imported.
    """
    where = f"{key}={target}"
    if not _NAME.fullmatch(target) or "." not in target:
        raise UserError(f"{where} is not the name of a class, such as {rooms[0]}.module.Class")
    if not _importable(target, rooms):
        raise _refused(where, target)
    module, _, attribute = target.rpartition(".")
    ours = any(_within(module, room) for room in rooms)
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{where}: no such class ({error})") from error
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise UserError(f"{where} is not {what}")
    if ours and not any(_within(cls.__module__, room) for room in rooms):
        raise UserError(f"{where} is not defined there but in {cls.__module__}")
    return cls


def built(
    part: Part,
    key: str,
    rooms: Sequence[str],
    base: Base,
    what: str,
    *given: Any,
    without: Sequence[str] = (),
    prefer: Plain | None = None,
    **extra: Any,
) -> Any:
    """The class of a choice, called with `given`, its arguments, and `extra`.

    key: that of the choice. without: arguments that are not the class's. prefer: what it is told where it has such a
    parameter and the choice is silent. Raises UserError as `named_class` does, and where it refuses a value.
    """
    cls = named_class(part.target, f"{key}._target_", rooms, base, what)
    arguments = part.arguments(*without)
    known = list(inspect.signature(cls).parameters)
    if unknown := [name for name in arguments if name not in known]:
        own = [name for name in known[len(given) :] if name not in extra]
        raise UserError(f"{key}: {part.target} has no option {', '.join(unknown)}; it has {', '.join(own)}")
    preferred = {name: value for name, value in (prefer or {}).items() if name in known}
    try:
        return cls(*given, **{**preferred, **arguments, **extra})
    except (ValueError, TypeError) as error:
        raise UserError(f"{key} ({part.target}): {_on_one_line(error)}") from error


def _on_one_line(error: Exception) -> str:
    """As `height: Field required; width: Field required` of those of pydantic, which libraries check arguments with."""
    head, _, told = str(error).partition("\n")
    if not re.fullmatch(r"\d+ validation errors? for \w+", head):
        return " ".join(str(error).split())
    told = re.sub(r" \[type=.*\]$|^ +For further information visit .*\n?", "", told, flags=re.MULTILINE)
    return "; ".join(told.replace("\n  ", ": ").strip().splitlines())


def _importable(target: str, rooms: Sequence[str]) -> bool:
    module, package = target.rpartition(".")[0], target.partition(".")[0]
    if package == OURS:
        return any(_within(module, room) for room in rooms)
    libraries = (room for room in rooms if not _within(room, OURS))
    return any(_within(target, name) for name in (*libraries, *_allowed.get()))


def _refused(where: str, target: str) -> UserError:
    package = target.partition(".")[0]
    if package == OURS:
        return UserError(f"{where}: {target} is no class of ours that a model or a dataset is made of")
    return UserError(
        f"{where}: {target} is no class of this package's, and importing it would run its code. If you trust it:"
        f" allow=[{package}], or scaseg.load(path, allow=('{package}',)) in Python"
    )


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
