"""The models that are compared: found, loaded, and asked for labels and confidence."""

import glob
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import torch
from torch import Tensor

from scaseg.compare.options import Models
from scaseg.data.build import build_source
from scaseg.data.datasets import EvalItem
from scaseg.data.source import Source
from scaseg.errors import UserError
from scaseg.evaluation.inference import scores
from scaseg.evaluation.row_bands import labels_and_confidence
from scaseg.identity import UNSEEN, without_later
from scaseg.models.layers.pooled_keys import pool_keys
from scaseg.progress import stage
from scaseg.runs.folder import CHECKPOINTS, model_of, run_of
from scaseg.schema import Run, Which
from scaseg.trained.device import chosen_device
from scaseg.trained.model import TrainedModel, load_model
from scaseg.typed import to_plain

REPEATED = (  # of a configuration what repetitions have in common
    *("backbone", "decoder", "dataset", "augment", "protocol"),
    *("training", "loss", "optimizer", "schedule", "distillation"),
)


@torch.inference_mode()
def predicted(model: TrainedModel, sample: EvalItem) -> tuple[Tensor, Tensor]:
    """An EvalSamples item -> train ids (H, W) as the evaluation has them, and their probabilities."""
    views = [view.permute(2, 0, 1)[None].to(model.device) for view in sample.get("views", [sample["image"]])]
    size = (sample["mask"].shape[0], sample["mask"].shape[1])
    pool_keys(model.segmentor, model.protocol.key_ratio)
    labels, confidence = labels_and_confidence(scores(model.segmentor, views, size, model.protocol))
    return labels[0], confidence[0]


@dataclass(frozen=True)
class Contender:
    """What a letter of the command stands for: one checkpoint, or repetitions of one run with other seeds."""

    letter: str
    label: str
    runs: tuple[TrainedModel, ...]


def found_in(options: Models) -> tuple[list[Contender], Source]:
    """The models, and the images to show them; UserError where these have no masks or not the names asked for."""
    with stage("loading the models"):
        models = contenders(options)
    config = models[0].runs[0].config
    split = options.split or config.dataset.val_split
    source: Source = build_source(config.dataset, options.data_dir or config.data_dir, split)
    if not source.labelled:
        raise UserError(f"split={split} has no masks: take one that has")
    names = {source.name(i) for i in range(len(source))}
    if unknown := [name for name in options.images if name not in names]:
        raise UserError(f"images={','.join(unknown)}: not in the split {split}, whose first is {source.name(0)}")
    return models, source


def contenders(options: Models) -> list[Contender]:
    """Load what was asked for.

    Raises UserError where nothing is found, where one letter's checkpoints are not of one configuration, and where the
    letters' datasets or classes differ.
    """
    asked, device = options.asked, chosen_device(options.hardware)
    found = {
        letter: [load_model(path, device) for path in _paths(given, options.checkpoint)]
        for letter, given in asked.items()
    }
    everything = [run for runs in found.values() for run in runs]
    first = everything[0]
    for run in everything:
        run.require_best_class("scaseg.compare")
        if run.classes != first.classes or run.config.dataset.name != first.config.dataset.name:
            raise UserError(
                f"{first.path} is of {first.config.dataset.name} with {len(first.classes)} classes, {run.path} of"
                f" {run.config.dataset.name} with {len(run.classes)}: compare runs of one dataset"
            )
        if (run.form.channels, run.form.dtype) != (first.form.channels, first.form.dtype):
            raise UserError(
                f"{first.path} takes {first.form.in_words}, {run.path} {run.form.in_words}: compare runs that see"
                " the same pictures"
            )
    for letter, runs in found.items():
        kinds = {identity_of(run.config) for run in runs}
        if len(kinds) > 1:
            raise UserError(
                f"ckpt={asked[letter]} names runs that differ in more than their seed"
                f" ({', '.join(run_of(run.path).name for run in runs if run.path)}): name each by itself"
            )
    labels = labelled({letter: runs[0].config for letter, runs in found.items()})
    return [Contender(letter, labels[letter], tuple(runs)) for letter, runs in found.items()]


def labelled(configs: Mapping[str, Run]) -> dict[str, str]:
    """What each letter's model is called: with its letter where others are called so too."""
    labels = {letter: _described(run) for letter, run in configs.items()}
    alike = [label for label in labels.values() if list(labels.values()).count(label) > 1]
    return {letter: f"{label} ({letter})" if label in alike else label for letter, label in labels.items()}


def _paths(given: str, which: Which) -> list[Path]:
    matches = [Path(match) for match in sorted(glob.glob(given))]  # noqa: PTH207  (absolute patterns too)
    if len(matches) < 2:
        return [model_of(matches[0] if matches else given, "ckpt", which.value)]
    runs = [path for path in matches if (path / CHECKPOINTS / f"{which.value}.ckpt").is_file()]
    files = [path for path in matches if path.is_file() and path.suffix == ".ckpt"]
    if not (found := sorted([*runs, *files])):
        raise UserError(f"ckpt={given}: no run among the {len(matches)} files and folders there")
    return [model_of(path, "ckpt", which.value) for path in found]


def identity_of(run: Run) -> str:
    """All that repetitions have in common: all but the seed, and the weights that each may have started from."""
    plain = {key: value for key, value in to_plain(run).items() if key in REPEATED}
    plain["dataset"] = {key: value for key, value in plain["dataset"].items() if key not in UNSEEN}
    learned = run.fingerprints.get("teacher"), run.identity().get("more_data")
    return json.dumps([without_later(plain), *learned], sort_keys=True)


def _described(run: Run) -> str:
    """Backbone and decoder, and what of the decoder is not as published."""
    published = {"attn": "sca", "lpm": "se", "qk_channels": 1, "clb_stages": [4, 3, 2, 1], "classifier": "conv"}
    given = run.decoder.values
    other = [f"{key}={given[key]}" for key, value in published.items() if key in given and given[key] != value]
    return " ".join([run.backbone.name, "+", run.decoder.name, *other])
