"""The command line as people type it: what Hydra is to be handed, or one message with the right spelling."""

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import scaseg
from scaseg.choices import CONF_DIR
from scaseg.config_errors import exactly
from scaseg.errors import UserError
from scaseg.overrides import Given, Known, has
from scaseg.renamed import renamed

ONE_OF = ("run", "multirun", "cfg", "info")


def checked(command: str, argv: Sequence[str]) -> list[str]:
    """The arguments for Hydra, its flags untouched. Raises UserError for what the command cannot be told.

    --help and --version are answered here, and the program ends: Hydra's help lists groups of other commands.
    """
    argv = renamed(command, argv)
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    for action in parser._actions:
        if isinstance(action, argparse._VersionAction):
            action.version = f"scaseg {scaseg.__version__}, {action.version}"
    if (place := _dashed(parser, argv)) is not None:
        raise UserError(_without_dashes(command, argv, place))
    argv = _together(parser, argv)
    flags = parser.parse_args(argv)
    if flags.shell_completion or flags.experimental_rerun or flags.hydra_help:
        return list(argv)
    _check_flags(flags)
    given = [Given.of(text) for text in flags.overrides]
    command = flags.config_name or command
    with _hydra(flags.config_path, flags.config_dir):
        known = Known(command, given, flags.multirun or any(one.text == "hydra.mode=MULTIRUN" for one in given))
        for place, one in enumerate(given):
            if not one.key or (one.value is None and one.sign != "~"):
                raise UserError(_stands_alone(known, given, place))
        spelled = {one.text: known.spelled(one) for one in given}
        if flags.help:
            print(known.help(flags.resolve))
            sys.exit()
        if (missing := known.missing()) and not (flags.cfg or flags.info):
            choices = known.choices(missing[0])
            hint = f" (one of {', '.join(choices)})" if choices else ""
            raise UserError(f"{', '.join(missing)} must be given: {missing[0]}=...{hint}")
        if flags.cfg and flags.package not in (None, "_global_"):
            _check_part(known, flags.package)
    return [text for text in (spelled.get(text, text) for text in argv) if text]


def _together(parser: argparse.ArgumentParser, argv: Sequence[str]) -> list[str]:
    """`a=1 b=2 -m` of `a=1 -m b=2`, whose b=2 argparse would not take."""
    flags, apart = parser.parse_known_args(list(argv))
    if not apart or not flags.overrides:
        return list(argv)
    before = [text for text in argv if text not in apart]
    place = before.index(flags.overrides[-1]) + 1
    return [*before[:place], *apart, *before[place:]]


def _check_part(known: Known, key: str) -> None:
    """UserError for a part of --cfg that is not there; null is shown here, for Hydra takes it for nothing."""
    if not has(known.config, key):
        raise known.unknown(key)
    if OmegaConf.select(known.config, key) is None:
        print("null")
        sys.exit()


def _refuse(message: str) -> NoReturn:
    raise UserError(message)


def _check_flags(flags: argparse.Namespace) -> None:
    chosen = [f"--{flag}" for flag in ONE_OF if getattr(flags, flag)]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(chosen)} at once: give one of them")
    if flags.resolve and not (flags.cfg or flags.help):
        raise UserError("--resolve goes with --cfg or --help")
    if flags.config_dir and not Path(flags.config_dir).is_dir():
        raise UserError(f"--config-dir {flags.config_dir}: no such folder")


@contextmanager
def _hydra(config_path: str | None = None, config_dir: str | None = None) -> Iterator[None]:
    """Within it Hydra composes from the folders that its flags name."""
    folder = CONF_DIR if config_path is None else str(Path(config_path).absolute())
    with initialize_config_dir(folder, version_base="1.3"):
        if config_dir is not None:
            loader: Any = GlobalHydra.instance().config_loader()
            path = f"file://{Path(config_dir).absolute()}"
            loader.get_search_path().prepend("command-line", path, SearchPathQuery(provider="schema"))
            loader.repository.initialize_sources(loader.get_search_path())
        yield


def _dashed(parser: argparse.ArgumentParser, argv: Sequence[str]) -> int | None:
    """Where an argument begins with dashes and is no flag of Hydra's."""
    flags = {flag: action for action in parser._actions for flag in action.option_strings}
    places = iter(range(len(argv)))
    for place in places:
        head = argv[place].partition("=")[0]
        if head == "--":
            return None
        if head in flags:
            takes_value = flags[head].nargs is None and head == argv[place]
            if takes_value:
                next(places, None)
        elif head.startswith("-") and not any(_stands_for(head, flag, action) for flag, action in flags.items()):
            return place
    return None


def _stands_for(head: str, flag: str, action: argparse.Action) -> bool:
    """`--multi` for --multirun, `-cjob` for -c job; --experiment is the group, not --experimental-rerun cut short."""
    short = len(head) > 3 and flag.startswith(head) and flag != "--experimental-rerun"
    return short or any(head == f"{flag}{choice}" for choice in action.choices or ())


def _without_dashes(command: str, argv: Sequence[str], place: int) -> str:
    """`--max_steps 5: arguments are key=value: training.max_steps=5`."""
    head, equals, value = argv[place].partition("=")
    after = next(iter(argv[place + 1 :]), "-")
    if not equals and not after.startswith("-") and "=" not in after:
        value = after
    shown = argv[place] if equals or not value else f"{head} {value}"
    with _hydra():
        known = Known(command, [], False)
        names = known.meant(head.lstrip("-"), value)
        if not value and names and isinstance(OmegaConf.select(known.config, names[0]), bool):
            value = "true"
    right = [shlex.quote(f"{name}={value or '...'}") for name in names]
    return f"{shown}: arguments are key=value, without dashes{_or_help(command, right)}"


def _stands_alone(known: Known, given: Sequence[Given], place: int) -> str:
    """`data_dir my: arguments are key=value: data_dir=my`, for the first argument without =."""
    text, after = given[place].text or "''", given[place + 1 : place + 3]
    before = given[place - 1] if place else None
    if after and after[0].key == "" and after[0].value is not None:  # key = value, key =value
        value = after[0].value or (after[1].text if len(after) > 1 else "...")
        return f"{text} = {value}: no blanks around the =: {_right(known, text, value)}"
    if before and before.value == "":  # key= value
        return f"{before.text} {text}: no blanks around the =: {_right(known, before.key, text)}"
    for between in (":", " "):
        key, _, value = text.partition(between)
        if value and exactly(key, [*known.groups, *known.keys]):
            return f"{text}: arguments are key=value: {_right(known, key, value.strip())}"
    if exactly(text, [*known.groups, *known.keys]):
        value = after[0].text if after and after[0].value is None else "..."
        shown = text if value == "..." else f"{text} {value}"
        return f"{shown}: arguments are key=value: {_right(known, text, value)}"
    alone = [one.text for one in given[place:] if one.value is None]
    right = [f"{group}={text}" for group in known.groups if text in known.choices(group)]
    if alone and not right and (pairs := _meant(known, {one.key for one in given}, alone)):
        right.append(" ".join(shlex.quote(f"{key}={value}") for key, value in pairs))
    if before and before.value:
        whole = f"{before.value} {' '.join(alone)}"
        quoted_whole = shlex.quote(f"{before.key}={whole}")
        if before.value.startswith("[") or os.path.exists(whole):  # noqa: PTH110
            right = [quoted_whole]
        elif known.takes_text(before.key):
            right.append(quoted_whole)
    return f"{text}: arguments are key=value{_or_help(known.command, right)}"


def _meant(known: Known, given: set[str], alone: Sequence[str]) -> list[tuple[str, str]]:
    """The keys and values that texts without keys may be: first of those keys that must be given."""
    text = alone[0]
    is_model = text.endswith(".ckpt") or os.path.isdir(f"{text}/checkpoints")  # noqa: PTH112 (of any text)
    missing = [key for key in known.missing() if key not in known.groups and key not in given]
    left = [key for key in missing if known.takes_text(key) or text.isdigit()]
    if "ckpt" in missing and not known.takes_text("ckpt"):  # a list of models takes all that is left
        first = [(key, text) for key in missing if key != "ckpt" and text.isdigit()]
        return [*first, ("ckpt", f"[{','.join(alone[len(first) :]) or '...'}]")]
    if len(alone) < len(left) and not is_model:
        left.sort(key="ckpt".__eq__)
    if os.path.exists(text):  # noqa: PTH110
        left += ["ckpt_path"] if is_model else ["data_dir", "runs"]
    return list(zip((key for key in left if key in known.keys and key not in given), alone, strict=False))


def _or_help(command: str, right: Sequence[str]) -> str:
    return f": {' or '.join(right)}" if right else f"; all keys: python -m scaseg.{command} --help"


def _right(known: Known, key: str, value: str) -> str:
    names = known.meant(key)
    if names and isinstance(OmegaConf.select(known.config, names[0]), bool) and value == "...":
        value = "true"
    return " or ".join(shlex.quote(f"{name}={value}") for name in names or [key])
