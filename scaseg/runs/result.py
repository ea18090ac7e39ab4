"""result.json, the figures of a run or an evaluation: written here, read here. Imports nothing heavy."""

import json
import subprocess
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from scaseg.errors import UserError
from scaseg.files import write_json
from scaseg.runs.folder import RESULT, run_of
from scaseg.schema import Run
from scaseg.typed import Plain

TOLD = ("mIoU", "pixel_accuracy", "mean_accuracy", "per_class", "absent", "split", "protocol", "step", "seed")
EARLIER = "images_trained_on"  # evaluated_images_trained_on before it was called so
TOLD_MORE = ("evaluated_images_trained_on", "params", "versions", "device", "thresholds", "git_commit", "wall_time_s")


class ClassFigures(TypedDict):
    """Of one class: percent, None where the split has no pixel of it; pixels: labelled ones."""

    iou: float | None
    accuracy: float | None
    pixels: int


class Figures(TypedDict):
    """In percent; None where there was nothing to score."""

    mIoU: float | None
    pixel_accuracy: float | None
    mean_accuracy: float | None
    per_class: dict[str, ClassFigures] | None
    absent: list[str] | None
    thresholds: NotRequired[dict[str, float]]  # of probabilities, by class, where the figures are at some


class Best(TypedDict):
    """The best validation so far."""

    step: int | None
    mIoU: float | None


class Described(Figures):
    """What every result says besides: of what it is, and how it came about."""

    dataset: str
    backbone: str
    decoder: str
    seed: int
    config: Plain
    protocol: Plain
    encoder_params: int
    decoder_params: int
    params: int
    git_commit: str | None
    versions: dict[str, str | None]
    peak_memory_mb: float
    device: str
    threads: int


class Result(Described):
    """What result.json holds: then what is of a run, or of an evaluation, alone."""

    status: str
    split: str
    step: int
    world_size: int
    evaluated_images_trained_on: int | None
    images_trained_on: NotRequired[int | None]  # its earlier name

    metrics: NotRequired[dict[str, float | None]]  # by column of metrics.csv, those asked for besides

    run: NotRequired[str]
    best: NotRequired[Best]
    plain_weights: NotRequired[Figures | None]
    wall_time_s: NotRequired[float]

    checkpoint: NotRequired[str]
    images: NotRequired[int]
    fingerprint: NotRequired[str]
    submission: NotRequired[str | None]


def has_result(folder: Path) -> bool:
    """Whether what the folder is of has ended well."""
    return (folder / RESULT).exists()


def write_result(folder: Path, result: Result) -> None:
    """Write it whole or not at all; nan is a ValueError."""
    write_json(folder / RESULT, result)


def read_result(folder: Path) -> Result:
    """A folder's result; UserError where it cannot be read."""
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{RESULT} can't be read ({error})") from error
    if not isinstance(result, dict):
        raise UserError(f"{RESULT} holds no object")
    return cast("Result", result)


def results_of(checkpoint: Path, step: int, config: Run) -> list[Result]:
    """What the results beside a checkpoint tell of it: that of training, and of evaluations of this very file."""
    run = run_of(checkpoint)
    results: list[Result] = []
    for folder in [run, *sorted(path.parent for path in run.glob(f"evaluation/*/{RESULT}"))]:
        try:
            result = read_result(folder)
        except UserError:
            continue
        of_this = Path(result["checkpoint"]).name == checkpoint.name if "checkpoint" in result else True
        known = any((one["split"], one["protocol"]) == (result.get("split"), result.get("protocol")) for one in results)
        done = result.get("status") == "done" and result.get("step") == step
        if done and of_this and not known and not _of_other_data(result, config):
            told = {key: value for key, value in result.items() if key in (*TOLD, *TOLD_MORE, EARLIER)}
            results.append(cast("Result", told))
    return results


def _of_other_data(result: Result, config: Run) -> bool:
    """Whether a split of the validation split's name lay in another folder than training knew."""
    known, found = config.fingerprints.get("val"), result.get("fingerprint")
    return result.get("split") == config.dataset.val_split and None not in (known, found) and known != found


def git_commit() -> str | None:
    """The commit of the code, with `-dirty` where tracked files were changed; None outside a checkout."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # an installed copy may lie in another checkout
        return _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*") or None
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    told = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True, timeout=10)
    return told.stdout.strip()
