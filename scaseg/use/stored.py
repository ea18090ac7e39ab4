"""What a checkpoint or a saved folder holds of a trained model, read with care."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scaseg.errors import UserError
from scaseg.models.segmentor import MEAN, STD
from scaseg.named import check_named
from scaseg.runs.folder import SAVED_CONFIG, SAVED_WEIGHTS, checkpoint_of, is_saved, run_of
from scaseg.use.checkpoint import load_checkpoint

CONFIG, WEIGHTS, CARD = SAVED_CONFIG, SAVED_WEIGHTS, "README.md"
FORMAT = 1  # of config.json
PARTS = ("backbone", "decoder", "dataset", "protocol", "augment", "training", "seed")
RESULTS = ("mIoU", "pixel_accuracy", "mean_accuracy", "per_class", "absent", "split", "protocol", "step", "seed")
EARLIER = "images_trained_on"  # evaluated_images_trained_on before it was called so
RESULTS_MORE = ("evaluated_images_trained_on", "params", "versions", "device", "git_commit", "wall_time_s")


@dataclass
class Stored:
    """config: the parts of the run's configuration that a model is made of; tensors: of the Segmentor."""

    config: dict[str, Any]
    classes: list[str]
    colours: list[list[int]]
    tensors: dict[str, Tensor]
    about: dict[str, Any]


def read_stored(path: Path) -> Stored:
    """Read a checkpoint, a run's folder (its last checkpoint, whose figures result.json states) or a saved folder.

    Raises UserError.
    """
    if path.name == WEIGHTS and is_saved(path):
        path = path.parent
    if (path / CONFIG).is_file():
        return _read_folder(path)
    return _read_checkpoint(checkpoint_of(path, "ckpt"))


def _read_checkpoint(path: Path) -> Stored:
    checkpoint = load_checkpoint(path, "ckpt")
    ours = checkpoint["scaseg"]
    state = checkpoint["state_dict"]
    tensors = {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}
    config = {key: ours["config"][key] for key in PARTS if key in ours["config"]}
    config["normalisation"] = _normalisation(config["backbone"])
    step = checkpoint["global_step"]
    about = {"checkpoint": path.name, "step": step, **_figures(path, step, ours["config"])}
    return Stored(config, ours["classes"], ours["colours"], tensors, about)


def _normalisation(backbone: dict[str, Any]) -> dict[str, list[float]]:
    return {"mean": list(backbone.get("mean") or MEAN), "std": list(backbone.get("std") or STD)}


def _figures(checkpoint: Path, step: int, config: dict[str, Any]) -> dict[str, Any]:
    """From the results beside a checkpoint: those of training, and of evaluations of this very file."""
    run = run_of(checkpoint)
    results: list[dict[str, Any]] = []
    for path in [run / "result.json", *sorted(run.glob("evaluation/*/result.json"))]:
        try:
            result = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        of_this = Path(result["checkpoint"]).name == checkpoint.name if "checkpoint" in result else True
        known = any(all(one[key] == result.get(key) for key in ("split", "protocol")) for one in results)
        done = result.get("status") == "done" and result.get("step") == step
        if done and of_this and not known and not _of_other_data(result, config):
            results.append({key: result[key] for key in (*RESULTS, *RESULTS_MORE, EARLIER) if key in result})
    return {"results": results}


def _of_other_data(result: dict[str, Any], config: dict[str, Any]) -> bool:
    """Whether a split of the validation split's name lay in another folder than training knew."""
    known, found = config.get("fingerprints", {}).get("val"), result.get("fingerprint")
    return result.get("split") == config["dataset"]["val_split"] and None not in (known, found) and known != found


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
    return Stored(config["model"], classes, colours, tensors, config["about"])
