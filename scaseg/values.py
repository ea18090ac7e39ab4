"""What stands after the = of key=value: checked by its key's type, and quoted where Hydra would misread a text."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scaseg.config_errors import wrong_value
from scaseg.errors import UserError


def parsed(text: str) -> Override | None:
    """`key=value` by Hydra's grammar; None where it is none."""
    try:
        return OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides([text])[0]
    except HydraException:
        return None


def elements(override: Override) -> Iterator[Any]:
    """The values of a sweep, of which an interval has none, or the one value."""
    if not override.is_sweep_override():
        yield override.value()
    elif override.is_discrete_sweep():
        yield from override.sweep_iterator()


def takes_text(config: DictConfig, key: str) -> bool:
    """Whether a key takes any text, which is put there."""
    return bool(_put(config, key, "x y") == "x y")


def spelled_value(config: DictConfig, key: str, given: str, multirun: bool) -> str:
    """The value as Hydra is to be handed it; it is put into `config`, which must have the key.

    Raises UserError for what the key does not take, and OmegaConf's key errors for an unknown one inside braces.
    """
    override = parsed(f"{key}={given}")
    anything, text = takes_text(config, key), _put(config, key, 5) == "5"
    value = given
    if anything and not given:
        raise UserError(f"{key}= has no value; null stands for none")
    if override is None and given.startswith("[") and given.endswith("]"):
        value = quoted_list(given)
    elif override is None and anything:
        value = quoted(given)
    elif override is not None and override.is_sweep_override() and not multirun:
        if not (anything and os.path.exists(given)):  # noqa: PTH110 (of any text, too long ones as well)
            raise UserError(_several(config, key, given, anything))
        value = quoted(given)
    elif override is not None and text and not override.is_sweep_override():
        read = override.value()
        if isinstance(read, list | dict) or (isinstance(read, bool | int | float) and str(read) != given):
            value = quoted(given)
    override = parsed(f"{key}={value}")
    for element in [value] if override is None else elements(override):
        try:
            OmegaConf.update(config, key, element, merge=True)
        except OmegaConfBaseException as error:
            if "not in" in str(error):
                raise
            shown = f"{key}={element}" if override is not None and override.is_discrete_sweep() else f"{key}={given}"
            raise UserError(wrong_value(shown, error) + _nearby(config, key, given)) from error
    return value


def quoted(text: str) -> str:
    """A text in the quotes of Hydra's grammar; the home folder's ~, which a shell leaves there, written out."""
    if text.startswith("~"):
        text = str(Path(text).expanduser())
    return QuotedString(text, Quote.double).with_quotes()


def quoted_list(text: str) -> str:
    """A list in brackets, each of its texts in quotes."""
    return f"[{','.join(quoted(part.strip()) for part in text[1:-1].split(','))}]"


def _put(config: DictConfig, key: str, value: Any) -> Any:
    """What the key makes of a value, None where it refuses it."""
    try:
        OmegaConf.update(config, key, value)
    except OmegaConfBaseException:
        return None
    return OmegaConf.select(config, key)


def _several(config: DictConfig, key: str, given: str, anything: bool) -> str:
    if nearby := _nearby(config, key, given):
        return f"{key}={given}: must be a list{nearby}"
    as_text = f"; one text is put in quotes: {shlex.quote(f'{key}={quoted(given)}')}" if anything else ""
    return f"{key}={given}: several values are a sweep, which needs --multirun{as_text}"


def _nearby(config: DictConfig, key: str, given: str) -> str:
    """The right spelling where what was meant is plain: whole numbers as 1e5, lists without brackets."""
    override = parsed(f"{key}={given}")
    number = None if override is None else override.value()
    if isinstance(number, float) and number.is_integer() and _put(config, key, int(number)) is not None:
        return f", as {key}={int(number)}"
    parts = [part for part in given.strip("()[]{} ").replace("x", ",").replace(" ", ",").split(",") if part]
    as_list = parsed(f"{key}=[{','.join(parts)}]")
    if len(parts) > 1 and as_list is not None and _put(config, key, as_list.value()) is not None:
        return f", as {key}=[{','.join(parts)}]"
    return ""
