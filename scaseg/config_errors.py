"""What is wrong with a configuration, in one line for people: unknown keys, choices, types, files of YAML."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, UserWarning)
# words of other frameworks -> keys of ours that share no letters with them
ELSEWHERE = {
    "epochs": ("training.max_steps",),
    "max_epochs": ("training.max_steps",),
    "iterations": ("training.max_steps",),
    "max_iters": ("training.max_steps",),
    "learning_rate": ("training.lr",),
    "bs": ("training.batch_size",),
    "wd": ("training.weight_decay",),
    "fp16": ("training.precision",),
    "amp": ("training.precision",),
    "gpus": ("hardware.devices",),
    "gpu": ("hardware.devices", "hardware.accelerator"),
    "device": ("hardware.accelerator",),
    "workers": ("hardware.num_workers",),
    "resume": ("ckpt_path",),
    "checkpoint": ("ckpt", "ckpt_path"),
    "model": ("ckpt", "decoder", "backbone"),
    "weights": ("ckpt",),
    "encoder": ("backbone",),
    "head": ("decoder",),
    "root": ("data_dir",),
    "path": ("data_dir",),
    "image": ("input",),
    "images": ("input",),
    "out": ("output", "output_dir"),
    "resolution": ("image_size", "augment.crop_size"),
}
TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "bool": "true or false"}


def meant(key: str, known: Iterable[str]) -> list[str]:
    """The known dotted keys that `key` may stand for, the likeliest first, at most four."""
    names = list(dict.fromkeys(name for name in known if not any(part.startswith("_") for part in name.split("."))))
    key = key.lower().replace("-", "_").strip("._")
    last = key.rpartition(".")[2]

    def closeness(name: str) -> float:
        end = name.rpartition(".")[2]
        part_of_it = set(last.split("_")) <= set(end.split("_"))  # `batch` of batch_size
        alike = max(0.7 * part_of_it, difflib.SequenceMatcher(None, last, end).ratio())
        return 0.85 * alike + 0.15 * difflib.SequenceMatcher(None, key, name).ratio()

    if key in names:
        return [key]
    found = exactly(key, names) or [name for name in names if name.rpartition(".")[2] == last]
    found = found or [name for name in ELSEWHERE.get(last, ()) if name in names]
    if not found:
        found = [name for name in names if closeness(name) > 0.65]
        best = max(map(closeness, found), default=0.0)
        found = [name for name in found if closeness(name) > best - 0.1]
    return sorted(found, key=closeness, reverse=True)[:4]


def exactly(key: str, known: Iterable[str]) -> list[str]:
    """The dotted keys that are `key` or end in it."""
    return [name for name in known if name == key or name.endswith(f".{key}")]


def keys_of(config: DictConfig, hydra: bool = False) -> list[str]:
    """Dotted keys of a configuration that hold a value: the command's, or those of Hydra's own part."""

    def dotted(node: Any, start: str = "") -> Iterator[str]:
        for key, value in node.items():
            if isinstance(value, dict) and value:
                yield from dotted(value, f"{start}{key}.")
            else:
                yield f"{start}{key}"

    content = OmegaConf.to_container(config, resolve=False)
    assert isinstance(content, dict)
    return list(dotted({key: value for key, value in content.items() if (key == "hydra") == hydra}))


def unknown_key(key: str, names: Sequence[str], command: str, value: str = "") -> str:
    """`max_steps: no such key; did you mean training.max_steps=5?`; names: what may be meant; value: as `=5`."""
    if names:
        return f"{key}: no such key; did you mean {' or '.join(name + value for name in names)}?"
    return f"{key}: no such key; all keys: python -m scaseg.{command} --help"


def wrong_choice(key: str, value: str, choices: Sequence[str]) -> str:
    """`experiment=camvid_cpuu: no such choice; did you mean camvid_cpu? The choices: ...`."""
    close = difflib.get_close_matches(value, choices, 1)
    hint = f"; did you mean {close[0]}? The" if close else "; the"
    return f"{key}={value}: no such choice{hint} choices: {', '.join(choices)}"


def wrong_value(given: str, error: OmegaConfBaseException) -> str:
    """given: `key=value`, or the key alone where a file gives the value; error: what OmegaConf has against it."""
    said = (error.msg or str(error)).splitlines()[0]
    if found := re.search(r"could not be converted to (\w+)|is not a valid (\w+)", said):
        kind, each = found[1] or found[2], "each " * ("[" in str(error.full_key))
        return f"{given}: {each}must be {TYPES.get(kind, kind)}"
    if found := re.search(r"expected one of \[(.*)\]", said):
        return f"{given}: choose one of {found[1]}"
    if "is not a ListConfig" in said or "to a ListConfig" in said:
        return f"{given}: must be a list in brackets"
    if "is not Optional" in said or "non-optional" in said or "to be None" in said or "NoneType is not" in said:
        return f"{given}: cannot {'hold' if '[' in str(error.full_key) else 'be'} null"
    if "Cannot assign" in said or "is not a DictConfig" in said or "not a subclass of" in said:
        return f"{given}: holds keys of its own; give those: {given.partition('=')[0]}.KEY=..."
    return f"{given}: {said}"


def explained(error: BaseException, known: Sequence[str] = (), command: str = "train") -> str:
    """What an exception of ERRORS, raised while a configuration is put together, says to its user.

    known: the command's groups and dotted keys, for what may be meant.
    """
    text = str(error)
    inside = re.match(r"In '([^']+/[^']+)': ", text)
    where = f"{inside[1]}.yaml: " if inside else ""
    match error:
        case MissingConfigException() if "submitit" in str(error.missing_cfg_file):
            return "hydra/launcher=slurm needs submitit: pip install 'scaseg[slurm]'"
        case MissingConfigException() if error.options:
            group, _, value = str(error.missing_cfg_file).rpartition("/")
            return where + wrong_choice(group, value, error.options)
        case MissingConfigException():
            return f"{where}{error.missing_cfg_file}.yaml is in none of the folders of configurations"
        case OverrideParseException():
            return f"{error.override}: cannot be read; a text with other signs than letters and digits goes in quotes"
        case yaml.MarkedYAMLError() if error.problem_mark is not None:
            mark = error.problem_mark
            return f"{mark.name}, line {mark.line + 1}: no YAML that can be read ({error.problem or error.context})"
        case UserWarning():
            return f"hydra.searchpath: no folder {text.partition('path=')[2].removesuffix(' is not available.')}"
        case ConfigAttributeError() | ConfigKeyError():
            key = str(error.full_key or error.key)
            return unknown_key(key, meant(key, known), command)
        case OmegaConfBaseException():
            return wrong_value(str(error.full_key or "the configuration"), error)
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OmegaConfBaseException):
        if inside and cause.full_key == inside[1].partition("/")[0]:
            return f"{where}its first line must be `# @package _global_`"
        return where + explained(cause, known, command)
    if found := re.search(r"Could not override '([^']+)'", text):
        if inside:
            return f"{where}cannot choose {found[1]}: it is not among the groups before {inside[1].partition('/')[0]}"
        return unknown_key(found[1], meant(found[1], known), command)
    if found := re.search(r"hydra.searchpath must be a list of strings. Got: (.*)", text):
        return f"hydra.searchpath={found[1]}: must be a list: hydra.searchpath=[{found[1]}]"
    return " ".join(text.split())


def unreadable(error: BaseException, folders: Iterable[Path]) -> str | None:
    """What is wrong with a YAML file of the user's where Hydra's error names none, or not its fault; None elsewhere."""
    inside = re.match(r"In '([^']+/[^']+)': ", str(error))
    if not (inside or isinstance(error, UnicodeDecodeError)):
        return None
    for file in sorted(
        file for folder in folders for file in folder.rglob(f"{inside[1]}.yaml" if inside else "*.yaml")
    ):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except UnicodeDecodeError as wrong:
            return f"{file}: not UTF-8 (byte {wrong.start}); save it as UTF-8"
        except (yaml.YAMLError, OSError):
            continue
        if not isinstance(content, dict | None):
            return f"{file}: holds a {type(content).__name__}, and must hold keys with values, as `seed: 1`"
    return None
