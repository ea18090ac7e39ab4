"""Models that are compared by what their runs counted, where checkpoints are gone or on another machine."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaseg.compare.compared import Compared
from scaseg.compare.contenders import identity_of, labelled
from scaseg.compare.options import CompareConfig
from scaseg.errors import UserError
from scaseg.runs.counts import COUNTS, ImageCounts, has_counts, read_counts
from scaseg.runs.earlier import read_config
from scaseg.runs.folder import CHECKPOINTS, RESULT
from scaseg.runs.result import Result, has_result, read_result
from scaseg.schema import Run
from scaseg.typed import Json


@dataclass(frozen=True)
class Recorded:
    """One run's record, or what an evaluation left."""

    folder: Path
    result: Result
    config: Run
    counts: ImageCounts


def recorded(options: CompareConfig) -> dict[str, list[Recorded]] | None:
    """By letter; None where every model has its checkpoints.

    Raises UserError where one has neither, where a letter's runs are not of one configuration, where they are not of
    the same images, and where what is asked takes the models.
    """
    asked = {letter: _folders(given) for letter, given in options.asked.items()}
    if not any(folders and not any(map(_has_checkpoints, folders)) for folders in asked.values()):
        return None
    found = {letter: [_read(folder) for folder in folders] for letter, folders in asked.items()}
    for letter, given in options.asked.items():
        if not found[letter]:
            raise UserError(f"ckpt={given}: no folder there with {RESULT} and {COUNTS}")
        if len({identity_of(one.config) for one in found[letter]}) > 1:
            names = ", ".join(one.folder.name for one in found[letter])
            raise UserError(
                f"ckpt={given} names runs that differ in more than their seed ({names}): name each by itself"
            )
    everything = [one for of_letter in found.values() for one in of_letter]
    first = everything[0]
    for one in everything:
        if _of(one) != _of(first) or one.counts.names != first.counts.names:
            raise UserError(
                f"{first.folder} is of {' '.join(_of(first))}, {len(first.counts.names)} images, {one.folder} of"
                f" {' '.join(_of(one))}, {len(one.counts.names)}: compare counts of the same images by one protocol"
            )
    if options.split not in (None, first.result["split"]):
        raise UserError(f"split={options.split}: without checkpoints there are counts of {first.result['split']} alone")
    if options.images:
        raise UserError("images=... shows pictures, which takes the runs' checkpoints")
    return found


def of_records(records: Mapping[str, Sequence[Recorded]]) -> Compared:
    """By what runs counted themselves."""
    first = next(iter(records.values()))[0]
    labels = labelled({letter: runs[0].config for letter, runs in records.items()})
    models: dict[str, Json] = {
        letter: {
            "label": labels[letter],
            "backbone": runs[0].config.backbone.name,
            "decoder": runs[0].config.decoder.name,
            "params": runs[0].result["params"],
            "checkpoints": [str(one.folder) for one in runs],
            "seeds": [one.config.seed for one in runs],
        }
        for letter, runs in records.items()
    }
    found = {letter: [{"region": one.counts.region} for one in runs] for letter, runs in records.items()}
    classes = tuple(first.result["per_class"] or ())
    return Compared(first.config, first.result["split"], first.counts.names, classes, models, found)


def _of(one: Recorded) -> tuple[str, str, str]:
    return one.config.dataset.name, one.result["split"], f"mean over {one.config.protocol.mean_over.value}"


def _folders(given: str) -> list[Path]:
    found = [Path(match) for match in sorted(glob.glob(str(Path(given).expanduser())))]  # noqa: PTH207
    return [path for path in found if path.is_dir() and (len(found) == 1 or has_result(path))]


def _has_checkpoints(folder: Path) -> bool:
    """Or anything else that a model can be read from."""
    return (folder / CHECKPOINTS).is_dir() or not has_result(folder) or not has_counts(folder)


def _read(folder: Path) -> Recorded:
    result = read_result(folder)
    return Recorded(folder, result, read_config(result["config"]), read_counts(folder))
