"""Dataclasses that check their values where they are made, and their plain form: dicts, lists, numbers, texts."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import Enum
from math import inf
from types import UnionType
from typing import Any, ClassVar, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from scaseg.errors import UserError

Kind = TypeVar("Kind")
REQUIRED: Any = "???"  # OmegaConf's mark of what must be given
Json = dict[str, Any]  # an object as JSON, or a hub's front matter, has it: made to be written
Yaml = dict[str, Any]  # a part of a configuration as YAML has it: before it is read
Plain = Mapping[str, Any]  # of YAML, JSON or a checkpoint: before it is read, or after it is written


def number(default: Any = MISSING, least: float = -inf, most: float = inf) -> Any:
    """A field whose number, where it is not null, lies within these."""
    return field(default=default, metadata={"range": (least, most)})


def one_of(default: Any, *choices: str) -> Any:
    """A field whose text is one of these."""
    return field(default=default, metadata={"choices": choices})


@dataclass
class Checked:
    """A part of a configuration, whose fields are as `number` and `one_of` have it; UserError else.

    section: the keys that lead to it, for messages.
    """

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            check_range(self.key(one.name), value, one.metadata.get("range", (-inf, inf)))
            if "choices" in one.metadata and value is not None:
                check_choice(self.key(one.name), value, one.metadata["choices"])
        self.check()

    def check(self) -> None:
        """Raise UserError for what no single field tells."""

    def key(self, name: str) -> str:
        """As the command line has it."""
        return f"{self.section}.{name}" if self.section else name


def check_range(key: str, value: object, limits: tuple[float, float]) -> None:
    """Raise UserError for a number that is out of its range, or that is none."""
    least, most = limits
    if isinstance(value, int | float) and not (least <= value <= most and value < inf):
        wanted = f"must be at least {least:g}" if most == inf else f"must lie between {least:g} and {most:.15g}"
        raise UserError(f"{key}={value} {wanted}")


def check_number(key: str, value: object, limits: tuple[float, float]) -> None:
    """Raise UserError for what is no number, or one out of its range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{key}={value}: a number")
    check_range(key, value, limits)


def check_choice(key: str, value: object, choices: Sequence[str]) -> None:
    """Raise UserError for a text that is none of its key's."""
    if value not in choices:
        raise UserError(f"{key}={value}: choose one of {', '.join(choices)}")


@dataclass(frozen=True)
class Part:
    """A choice of a group: `_target_`, the class; `name`; its arguments, which the class knows and checks."""

    values: Plain

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise UserError for values that are known here not to be right."""

    @property
    def name(self) -> str:
        """As tables and run folders have it."""
        return str(self.values["name"])

    @property
    def target(self) -> str:
        """The class's dotted name."""
        return str(self.values.get("_target_", ""))

    def option(self, key: str) -> Any:
        """An argument; None where it is not given."""
        return self.values.get(key)

    def text(self, key: str) -> str | None:
        """The same of one that is a text: a path, or a name."""
        value = self.values.get(key)
        return None if value is None else str(value)

    def arguments(self, *others: str) -> Yaml:
        """What the class is called with: all but `name`, keys of this project's own and those named here."""
        return {key: value for key, value in self.values.items() if key not in ("name", *others) and key[0] != "_"}

    def changed(self, **values: Any) -> Self:
        """The same with other values."""
        return replace(self, values={**self.values, **values})


def to_plain(value: Any) -> Any:
    """What YAML, JSON and checkpoints take of it: dataclasses as dicts, enums by name."""
    if isinstance(value, Part):
        return to_plain(value.values)
    if is_dataclass(value):
        return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(one) for one in value]
    return value.name if isinstance(value, Enum) else value


def from_plain(kind: type[Kind], plain: Plain) -> Kind:
    """The dataclass of a plain form: keys that it does not have are passed over, those that lack have their defaults.

    Raises UserError where a value is not right, TypeError where one without a default lacks.
    """
    hints = get_type_hints(kind)
    known = {one.name for one in fields(kind) if one.init}  # type: ignore[arg-type]
    return kind(**{key: _value(hints[key], value) for key, value in plain.items() if key in known})


def _value(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        if value is None:
            return None
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if isinstance(hint, type) and isinstance(value, str) and issubclass(hint, Enum):
        check_choice(hint.__name__, value, list(hint.__members__))
        return hint[value]
    if isinstance(hint, type) and isinstance(value, Mapping) and is_dataclass(hint):
        return hint(value) if issubclass(hint, Part) else from_plain(hint, value)
    if get_origin(hint) is dict and isinstance(value, Mapping) and is_dataclass(get_args(hint)[1]):
        return {key: _value(get_args(hint)[1], one) for key, one in value.items()}
    if get_origin(hint) is list and is_dataclass(get_args(hint)[0]):
        return [_value(get_args(hint)[0], one) for one in value]
    return list(value) if isinstance(value, tuple) else value


def dotted(plain: Plain, prefix: str = "") -> dict[str, object]:
    """By the keys of the command line, as training.lr; keys of this project's own, but for the class, are left out."""
    flat: dict[str, object] = {}
    for key, value in plain.items():
        if str(key).startswith("_") and key != "_target_":
            continue
        if isinstance(value, Mapping):
            flat |= dotted(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
