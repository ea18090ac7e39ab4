"""The models that are compared: found, loaded, and asked for labels and confidence."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from torch import Tensor

from scaseg.comparison.calibration import labels_and_confidence
from scaseg.errors import UserError
from scaseg.evaluation.inference import scores
from scaseg.evaluation.protocol import Protocol
from scaseg.models.build import build_segmentor
from scaseg.models.segmentor import Segmentor
from scaseg.runs.folder import CHECKPOINTS, checkpoint_of
from scaseg.training.loading import load_checkpoint


@dataclass(frozen=True)
class Trained:
    """One checkpoint."""

    path: Path
    config: dict[str, Any]
    classes: tuple[str, ...]
    model: Segmentor

    @torch.inference_mode()
    def predict(self, sample: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """An EvalSamples item -> train ids (H, W) as the evaluation has them, and their probabilities."""
        device = next(self.model.parameters()).device
        views = [view.permute(2, 0, 1)[None].to(device) for view in sample.get("views", [sample["image"]])]
        size = (sample["mask"].shape[0], sample["mask"].shape[1])
        found = scores(self.model, views, size, Protocol.of(self.config["protocol"]))
        labels, confidence = labels_and_confidence(found)
        return labels[0], confidence[0]


@dataclass(frozen=True)
class Contender:
    """What a letter of the command stands for: one checkpoint, or repetitions of one run with other seeds."""

    letter: str
    label: str
    runs: tuple[Trained, ...]


def contenders(asked: Mapping[str, str], which: str, device: torch.device) -> list[Contender]:
    """Load what `asked` names, letter -> a run folder, a checkpoint or a glob of them.

    which: `last` or `best`, of a folder's checkpoints. Raises UserError where nothing is found, where one letter's
    checkpoints are not of one configuration, and where the letters' datasets or classes differ.
    """
    found = {
        letter: [_load(path, letter, device) for path in _paths(letter, given, which)]
        for letter, given in asked.items()
    }
    everything = [run for runs in found.values() for run in runs]
    first = everything[0]
    for run in everything:
        if run.classes != first.classes or run.config["dataset"]["name"] != first.config["dataset"]["name"]:
            raise UserError(
                f"{first.path} is of {first.config['dataset']['name']} with {len(first.classes)} classes, {run.path} of"
                f" {run.config['dataset']['name']} with {len(run.classes)}: compare runs of one dataset"
            )
    for letter, runs in found.items():
        kinds = {_identity(run.config) for run in runs}
        if len(kinds) > 1:
            raise UserError(
                f"{letter}={asked[letter]} names runs that differ in more than their seed"
                f" ({', '.join(run.path.parents[1].name for run in runs)}): give each a letter of its own"
            )
    labels = {letter: _described(runs[0].config) for letter, runs in found.items()}
    alike = [label for label in labels.values() if list(labels.values()).count(label) > 1]
    return [
        Contender(letter, f"{labels[letter]} ({letter})" if labels[letter] in alike else labels[letter], tuple(runs))
        for letter, runs in found.items()
    ]


def _paths(letter: str, given: str, which: str) -> list[Path]:
    matches = [Path(match) for match in sorted(glob.glob(given))]  # noqa: PTH207  (absolute patterns too)
    if len(matches) < 2:
        return [checkpoint_of(matches[0] if matches else given, letter, which)]
    runs = [path for path in matches if (path / CHECKPOINTS / f"{which}.ckpt").is_file()]
    files = [path for path in matches if path.is_file() and path.suffix == ".ckpt"]
    paths = [checkpoint_of(path, letter, which) for path in sorted([*runs, *files])]
    if not paths:
        raise UserError(
            f"{letter}={given}: no run there; give a run folder (with checkpoints/{which}.ckpt), a checkpoint, or a"
            " glob of them for repetitions with other seeds"
        )
    return paths


def _load(path: Path, letter: str, device: torch.device) -> Trained:
    checkpoint = load_checkpoint(path, letter)
    saved = checkpoint["scaseg"]
    model = build_segmentor(saved["config"], len(saved["classes"]))
    start = "model."
    state = {key.removeprefix(start): value for key, value in checkpoint["state_dict"].items() if key.startswith(start)}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{letter}={path}: its tensors are not those of its configuration ({error})") from error
    return Trained(path, saved["config"], tuple(saved["classes"]), model.eval().to(device))


def _identity(config: Mapping[str, Any]) -> str:
    return repr([config[key] for key in ("backbone", "decoder", "dataset", "augment", "protocol", "training")])


def _described(config: Mapping[str, Any]) -> str:
    """Backbone and decoder, and what of SCASeg's decoder is not as published."""
    decoder = config["decoder"]
    published = {"attn": "sca", "lpm": "se", "qk_channels": 1, "clb_stages": [4, 3, 2, 1]}
    other = [f"{key}={decoder[key]}" for key, value in published.items() if key in decoder and decoder[key] != value]
    return " ".join([config["backbone"]["name"], "+", decoder["name"], *other])


def device_of(accelerator: str) -> torch.device:
    """`auto`: a GPU where torch sees one."""
    if accelerator == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device({"gpu": "cuda"}.get(accelerator, accelerator))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"hardware.accelerator={accelerator}: torch has no such device here; use auto or cpu"
        ) from error
    return device


def letters(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """The letters that were given, in order; UserError for fewer than two."""
    asked = {name: str(options[name]) for name in names if options.get(name)}
    if len(asked) < 2:
        raise UserError(
            "give at least two runs: a=RUN b=RUN, up to h; RUN is a run folder, a checkpoint, or a glob of repetitions"
        )
    return asked
