"""What a checkpoint or a saved folder holds of a trained model, read with care."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from scaseg.errors import UserError
from scaseg.named import check_named
from scaseg.runs.checkpoint import read_checkpoint
from scaseg.runs.earlier import read_config
from scaseg.runs.folder import SAVED_CONFIG, SAVED_WEIGHTS, model_of
from scaseg.runs.result import Result, results_of
from scaseg.schema import Run

CONFIG, WEIGHTS, CARD = SAVED_CONFIG, SAVED_WEIGHTS, "README.md"
CODE = "modeling_scaseg.py"  # what transformers runs of a saved folder
FORMAT = 1  # of config.json
OF_THE_MODEL = (  # of a configuration
    *("backbone", "decoder", "dataset", "protocol", "augment", "training", "loss", "optimizer", "schedule"),
    *("weights", "teacher", "distillation", "more_data", "seed", "task"),
)


class About(TypedDict, total=False):
    """What is known of a model's training, for its card: the checkpoint's name and step, results that are of it."""

    checkpoint: str
    step: int
    results: list[Result]


@dataclass
class Stored:
    """config: of the run, in which a saved folder has only what determines the model; tensors: of the Segmentor.

    thresholds: of a task that has some.
    """

    config: Run
    classes: list[str]
    colours: list[list[int]]
    tensors: dict[str, Tensor]
    about: About
    thresholds: tuple[float, ...] = ()


def read_stored(path: Path) -> Stored:
    """Read a checkpoint, a run's folder (its last checkpoint, whose figures result.json states) or a saved folder.

    Raises UserError.
    """
    found = model_of(path, "ckpt")
    return _read_folder(found) if found.is_dir() else _read_checkpoint(found)


def _read_checkpoint(path: Path) -> Stored:
    found = read_checkpoint(path, "ckpt")
    about: About = {"checkpoint": path.name, "step": found.step, "results": results_of(path, found.step, found.run)}
    return Stored(found.run, list(found.classes), found.colours, found.model_state, about, found.thresholds)


def _read_folder(path: Path) -> Stored:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads((path / CONFIG).read_text())
        made_by, form = config.get("library_name"), config.get("format")
        classes, colours = config["classes"], config["colours"]
        tensors = load_file(path / WEIGHTS)
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise UserError(f"{path}: not a folder that can be read ({type(error).__name__}: {error})") from error
    if made_by != "scaseg" or form != FORMAT:
        raise UserError(
            f"{path / CONFIG}: of {made_by} in format {form}, and this version reads scaseg's format {FORMAT}"
        )
    if torch.any(torch.tensor([len(colour) != 3 for colour in colours])) or len(colours) != len(classes):
        raise UserError(f"{path / CONFIG}: {len(classes)} classes and {len(colours)} colours")
    check_named(config["model"], str(path / CONFIG))
    thresholds = tuple(config.get("thresholds", ()))
    return Stored(read_config(config["model"]), classes, colours, tensors, config["about"], thresholds)
