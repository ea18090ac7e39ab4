"""What a command can be told by key=value: composed to know its groups and keys, and spelled as Hydra takes it."""

import copy
import difflib
import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from scaseg.choices import CONF_DIR
from scaseg.config import TrainConfig
from scaseg.config_errors import (
    ERRORS,
    exactly,
    explained,
    keys_of,
    meant,
    unknown_key,
    unreadable,
    wrong_choice,
)
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Protocol
from scaseg.values import elements, parsed, quoted_list, spelled_value, takes_text

TRAINS = frozenset(TrainConfig.__dataclass_fields__)
OPEN = (  # `+` adds what classes take
    *("backbone", "decoder", "dataset", "loss", "optimizer", "schedule", "distillation"),
    *("logger", "callbacks"),
)
_SHAPE = re.compile(r"\s*(~|\+{0,2})([^=]*?)\s*(?:=(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Given:
    """An argument: `sign` is +, ++, ~ or nothing; value is None where there is no =."""

    text: str
    sign: str
    key: str
    value: str | None

    @classmethod
    def of(cls, text: str) -> "Given":
        """Split an argument; blanks around key and value say nothing, as in Hydra."""
        found = _SHAPE.fullmatch(text)
        assert found is not None  # it matches any text
        return cls(text, found[1], found[2], None if found[3] is None else found[3].strip())


class Known:
    """A command's configuration with the chosen groups, and what may be said of it; Hydra must be initialised."""

    def __init__(self, command: str, given: Sequence[Given], multirun: bool) -> None:
        """given: of which the groups are composed; UserError where they are not there or do not go together."""
        self.command, self.multirun = command, multirun
        self.search = [_spelled_list(one) for one in given if one.key == "hydra.searchpath"]
        self.protocol = OmegaConf.create({"protocol": OmegaConf.structured(Protocol)})
        OmegaConf.set_struct(self.protocol, True)
        self._choices: dict[str, list[str]] = {}
        self.groups: list[str] = []
        self.lists: list[str] = []  # groups of which several may be chosen
        self.keys: list[str] = []
        chosen = {one: self._choice(one) for one in given if self.is_group(one)}
        try:
            self.config = self._composed([first for _, first in chosen.values() if first])
        except ERRORS as error:
            with suppress(*ERRORS):  # what there is without them, to say what was meant
                self._learn(self._composed([]))
            raise self._not_composed(error, chosen) from error
        self._learn(self.config)
        for one, (text, _) in chosen.items():
            made = one.key in self.lists or self.config.hydra.runtime.choices.get(one.key) is not None
            if not text and made:
                raise UserError(wrong_choice(one.key, "null", self.choices(one.key)))

    def choices(self, group: str) -> list[str]:
        """Of a group, those in the user's own folders too; none for what is no group."""
        if group not in self._choices:
            loader = GlobalHydra.instance().config_loader()
            try:
                self._choices[group] = list(loader.get_group_options(group, overrides=self.search))
            except ERRORS as error:
                raise UserError(explained(error, (), self.command)) from error
        return self._choices[group]

    def is_group(self, one: Given) -> bool:
        """Whether an argument chooses a file of a group."""
        group = one.key.partition("@")[0]
        if one.sign == "~" or not group or "." in group or one.value is None or one.value.startswith("{"):
            return False
        return bool(self.choices(group))

    def meant(self, key: str, value: str | None = None) -> list[str]:
        """The groups and keys that a wrong key may stand for; value: what was to be put there."""
        section = key.rpartition(".")[0]
        everything = [*self.groups, *self.keys]
        if key.startswith("hydra."):
            everything = [name for name in keys_of(self.config, hydra=True) if name.startswith(f"{section}.")]
        if exactly(key, everything):
            return meant(key, everything)
        groups = [group for group in self.groups if value and "/" not in group]
        return [group for group in groups if value in self.choices(group)] or meant(key, everything)

    def unknown(self, key: str, value: str | None = None) -> UserError:
        """The error for a key that is not there."""
        names, shown = self.meant(key, value), "" if value is None else f"={value}"
        section, _, last = key.rpartition(".")
        if not names and key.startswith("hydra."):
            return UserError(f"{key}: no such key of Hydra's; +{key}{shown} adds it")
        if unchosen := self._unchosen(section):
            return UserError(f"{key}: {unchosen}")
        near = [name for name in names if name.startswith(f"{section}.") or name.endswith(f".{last}")]
        if not near and section.partition(".")[0] in OPEN and has(self.config, section):
            return UserError(f"{key}: no such key; where its class takes it, +{key}{shown} adds it")
        start, own = key.partition(".")[0], {name.partition(".")[0] for name in [*self.groups, *self.keys]}
        if not names and {"ckpt", "checkpoint"} & own and start in TRAINS - own:
            return UserError(f"{key}: no key of scaseg.{self.command}, which takes it from the checkpoint")
        return UserError(unknown_key(key, names, self.command, shown))

    def _unchosen(self, section: str) -> str:
        """Of a section that is a choice of a group, but not one of those made, how to choose it; else nothing."""
        group, dot, choice = section.partition(".")
        if not dot or group not in self.groups or choice not in self.choices(group):
            return ""
        made = [str(name) for name, part in (self.config.get(group) or {}).items() if isinstance(part, DictConfig)]
        mend = f"[{','.join([*made, choice])}]" if group in self.lists else choice
        return f"{group}={choice} is not chosen; {group}={mend} does"

    def takes_text(self, key: str) -> bool:
        """Whether a key takes any text."""
        config = self._holding(key)
        return has(config, key) and key not in self.groups and takes_text(copy.deepcopy(config), key)

    def missing(self) -> list[str]:
        """Keys that must be given and were not."""
        return sorted(OmegaConf.missing_keys(self._own()))

    def help(self, resolve: bool) -> str:
        """The command's help: the template of its file with its groups' choices and its keys as they are now."""
        groups = [f"{group}: {', '.join(self.choices(group))}" for group in sorted(self.groups) if "/" not in group]
        keys = OmegaConf.to_yaml(self._own(), resolve=resolve)
        template = Template(self.config.hydra.help.template)
        return template.substitute(APP_CONFIG_GROUPS="\n".join(groups), CONFIG=keys).rstrip()

    def _own(self) -> DictConfig:
        return OmegaConf.masked_copy(self.config, [str(key) for key in self.config if key != "hydra"])

    def spelled(self, one: Given) -> str:
        """The argument as Hydra is to be handed it, empty where it says nothing; UserError where it cannot be."""
        hydras = one.key.startswith(("hydra.", "hydra/"))
        if self.is_group(one):
            return self._choice(one)[0]
        if hydras and one.sign:
            return one.text
        if one.sign == "~" and one.key in self.groups:
            choices = ", ".join(self.choices(one.key))
            raise UserError(f"{one.text}: no group can be taken out; {one.key}=... chooses one of {choices}")
        if one.sign == "~":
            raise UserError(f"{one.text}: no key can be taken out; where it may be empty, {one.key}=null empties it")
        section, _, name = one.key.rpartition(".")
        config, added = self._holding(one.key), ""
        if not has(config, one.key):
            siblings = [key.removeprefix(f"{section}.") for key in self.keys if key.startswith(f"{section}.")]
            opened = one.sign and section.partition(".")[0] in OPEN and has(self.config, section)
            if not opened or difflib.get_close_matches(name, siblings, 1, 0.8):
                raise self.unknown(one.key, one.value)
            OmegaConf.update(config, one.key, None, force_add=True)
            added = "+"
        if name == "name" and section in OPEN and one.value != OmegaConf.select(config, one.key):
            self._check_label(one, section)
        try:
            return f"{added}{one.key}={spelled_value(config, one.key, one.value or '', self.multirun)}"
        except (ConfigKeyError, ConfigAttributeError) as error:  # of keys in braces
            raise self.unknown(str(error.full_key)) from error

    def _check_label(self, one: Given, group: str) -> None:
        """UserError where a name is only what a choice is called, as it is not of backbone=timm."""
        if "${.name}" not in str(OmegaConf.to_container(self.config[group], resolve=False)):
            chosen, choices = self.config.hydra.runtime.choices[group], ", ".join(self.choices(group))
            raise UserError(f"{one.text}: only a label of {group}={chosen}; {group}=... chooses one of {choices}")

    def _composed(self, texts: Sequence[str]) -> DictConfig:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="provider=.* is not available")
            return compose(self.command, [*self.search, *texts], return_hydra_config=True)

    def _not_composed(self, error: BaseException, chosen: Iterable[Given]) -> UserError:
        for one in chosen:  # a group that the command does not have
            if f"Could not override '{one.key}'" in str(error):
                if not (Path(CONF_DIR) / one.key).is_dir():
                    return UserError(f"{one.text}: a group of your own is added with +: +{one.text}")
                return self.unknown(one.key, one.value)
        sources = GlobalHydra.instance().config_loader().get_sources()
        folders = [Path(source.path) for source in sources if source.provider == "command-line"]
        for override in filter(None, map(parsed, self.search)):
            paths = override.value()
            folders += [Path(str(path).removeprefix("file://")) for path in (paths if isinstance(paths, list) else [])]
        return UserError(unreadable(error, folders) or explained(error, [*self.groups, *self.keys], self.command))

    def _learn(self, config: DictConfig) -> None:
        self.groups = [str(group) for group in config.hydra.runtime.choices if not str(group).startswith("hydra/env")]
        # Hydra does not list those of which several are chosen
        self.lists = [str(key) for key in config if str(key) not in ("hydra", *self.groups) and self.choices(str(key))]
        self.groups += self.lists
        self.keys = keys_of(config)
        if "protocol" in self.keys:  # an empty one holds changes to a checkpoint's own, of evaluate and predict
            self.keys += keys_of(self.protocol)

    def _holding(self, key: str) -> DictConfig:
        """The configuration in which a key is to be looked up."""
        return self.protocol if key.startswith("protocol.") and "protocol" in self.keys else self.config

    def _choice(self, one: Given) -> tuple[str, str]:
        """What Hydra is handed, and what is composed here: of a sweep the first choice, of null nothing."""
        group, value = one.key.partition("@")[0], one.value or ""
        if value == "null":
            return "", ""
        choices, override = self.choices(group), parsed(f"{one.key}={value}")
        if override is None:
            raise UserError(wrong_choice(one.key, value, choices))
        if override.is_sweep_override() and not self.multirun:
            raise UserError(f"{one.key}={value}: several choices are a sweep, which needs --multirun")
        found = [part for value in elements(override) for part in (value if isinstance(value, list) else [value])]
        for choice in found or [value]:
            if str(choice) not in choices and "/" not in str(choice):
                raise UserError(wrong_choice(one.key, str(choice), choices))
        # a group of the command itself is there to be chosen already, which Hydra's `+` would refuse
        start = f"{'+' * bool(one.sign and not (Path(CONF_DIR) / group).is_dir())}{one.key}="
        return start + value, start + (str(found[0]) if override.is_sweep_override() else value)


def _spelled_list(one: Given) -> str:
    spelled = parsed(one.text) is not None or not (one.value or "").startswith("[")
    return one.text if spelled else f"{one.key}={quoted_list(one.value or '')}"


def has(config: DictConfig, key: str) -> bool:
    """Whether a dotted key is there, null or not."""
    section, _, name = key.rpartition(".")
    node = OmegaConf.select(config, section) if section else config
    if isinstance(node, ListConfig):
        return name.isdigit() and int(name) < len(node)
    return isinstance(node, DictConfig) and name in list(node.keys())
