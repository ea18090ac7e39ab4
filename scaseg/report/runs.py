"""Run folders: reading their results, and telling which of them are repetitions of one another."""

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaseg.errors import UserError
from scaseg.identity import NOT_IDENTITY
from scaseg.runs import store
from scaseg.runs.earlier import read_config
from scaseg.runs.folder import CONFIG, RESULT
from scaseg.runs.result import has_result, read_result
from scaseg.schema import Run as Configuration
from scaseg.typed import dotted, to_plain

# keys that say when something is written down, and determine no figure of the last step
BOOKKEEPING = ("training.log_every", "training.checkpoint_every", "training.val_every", "dataset.groups")
REQUIRED = {"dataset": str, "backbone": str, "decoder": str, "seed": int, "mIoU": int | float, "config": dict}

CHOICES = ("loss", "optimizer", "schedule", "distillation", "callbacks")  # by name, of some several
GROUPS = ("decoder.lpm", "decoder.classifier")  # of a run, whose groups on the command line have no decoder before them


@dataclass(frozen=True)
class Run:
    """A finished run; mIoU in percent. keys: its config with dotted names, what does not matter left out."""

    folder: Path
    dataset: str
    backbone: str
    decoder: str
    seed: int
    miou: float
    num_classes: int
    params: int | None
    config: Configuration
    keys: Mapping[str, Any]
    classes: tuple[str, ...] = ()

    def value(self, key: str) -> Any:
        """Of an override: a config group by its choice, else a dotted config key."""
        groups = {"dataset": self.dataset, "backbone": self.backbone, "decoder": self.decoder}
        return groups[key] if key in groups else self.keys.get(key)


def collect(pattern: str) -> tuple[list[Run], list[str]]:
    """Finished runs at or under the folders that `pattern` (a folder or a glob) names, sorted by folder.

    The second list has a sentence for each run that can't be used: unfinished, or its result not readable.
    Raises UserError where nothing looks like a run at all.
    """
    runs, problems = [], []
    for folder in run_folders(pattern):
        try:
            runs.append(_read(folder))
        except _UnusableRunError as error:
            problems.append(f"{folder}: {error}")
    return runs, problems


def run_folders(pattern: str) -> list[Path]:
    """Run folders, finished or not, at or under what the pattern names; UserError where there is none."""
    roots = [Path(match) for match in sorted(glob.glob(pattern))]  # noqa: PTH207  (absolute patterns too)
    folders = sorted({file.parent for root in roots for name in (RESULT, CONFIG) for file in root.rglob(name)})
    folders = [folder for folder in folders if _counts(folder)]
    if not folders:
        raise UserError(f"runs={pattern}: no run there (a folder with {RESULT} or {CONFIG})")
    return folders


def store_folders(pattern: str) -> list[Path]:
    """Like run_folders, and with those of a sweep's jobs that never began."""
    roots = [Path(match) for match in sorted(glob.glob(pattern))]  # noqa: PTH207
    begun = {file.parent for root in roots for file in root.rglob(store.STATUS)}
    begun |= {file.parent for root in roots for name in (RESULT, CONFIG) for file in root.rglob(name)}
    return [folder for folder in sorted(begun) if _counts(folder)]


def differing(runs: Sequence[Run], without: Sequence[str] = ()) -> list[str]:
    """Config keys in which `runs` are not all alike, but for the seed and `without` (with their subkeys)."""
    names = dict.fromkeys(name for run in runs for name in run.keys)
    return [
        name
        for name in names
        if name != "seed"
        and not any(name == key or name.startswith(f"{key}.") for key in without)
        and len({json.dumps(run.keys.get(name), sort_keys=True) for run in runs}) > 1
    ]


def by_seed(runs: Sequence[Run], cell: str) -> dict[int, Run]:
    """The runs of one cell by seed; UserError naming both where two claim a seed or aren't repetitions."""
    seeds: dict[int, Run] = {}
    for run in runs:
        other = seeds.setdefault(run.seed, run)
        first = runs[0]
        if other is not run:
            first = other
        keys = differing([first, run], () if other is not run else BOOKKEEPING)
        if other is not run or keys:
            what = f"the same seed {run.seed}" if other is not run else f"different {', '.join(keys)}"
            differ = f" (they differ in {', '.join(keys)})" if keys and other is not run else ""
            raise UserError(
                f"{first.folder} and {run.folder} claim the same cell, {cell}, with {what}{differ}:"
                " narrow runs= to one of them"
            )
    return seeds


def _counts(folder: Path) -> bool:
    """Not what evaluate wrote beside a run, nor what fresh=true has put aside: they would claim the run's own cell."""
    return folder.parent.name != "evaluation" and ".old-" not in folder.name


class _UnusableRunError(Exception):
    pass


def _read(folder: Path) -> Run:
    if not has_result(folder):
        said = store.read(folder)
        if said["status"] == "failed":
            raise _UnusableRunError(f"failed, {said.get('error')}")
        raise _UnusableRunError(f"unfinished, it has no {RESULT}")
    try:
        result = read_result(folder)
    except UserError as error:
        raise _UnusableRunError(str(error)) from error
    if result.get("status", "done") != "done":
        raise _UnusableRunError(f"its status is {result['status']}")
    for key, kind in REQUIRED.items():
        if not isinstance(result.get(key), kind) or isinstance(result.get(key), bool):
            raise _UnusableRunError(f"{RESULT} has no usable {key}: {result.get(key)!r}")
    try:
        config = read_config(result["config"])
    except UserError as error:
        raise _UnusableRunError(f"{RESULT}: {error}") from error
    classes = tuple(result.get("per_class") or ())
    return Run(
        folder,
        result["dataset"],
        result["backbone"],
        result["decoder"],
        result["seed"],
        float(result["mIoU"] or 0.0),
        len(classes),
        result.get("params"),
        config,
        _keys(config),
        classes,
    )


def _keys(config: Configuration) -> dict[str, object]:
    """Under the keys of the command line, where the groups lpm and classifier stand for the decoder's own.

    Of a group of CHOICES its own key has their names.
    """
    chosen = {group: "+".join(getattr(config, group)) or None for group in CHOICES}
    keys = chosen | dotted({key: value for key, value in to_plain(config).items() if key not in NOT_IDENTITY})
    return {key.removeprefix("decoder.") if key in GROUPS else key: value for key, value in keys.items()}
