"""What a result says: every figure with what it takes to know where the figure comes from."""

import platform
import resource
from collections.abc import Mapping
from importlib import metadata

import torch

from scaseg.data.labels import LabelTable
from scaseg.evaluation.metrics import Scores
from scaseg.machine import processor_name
from scaseg.models.segmentor import Segmentor
from scaseg.runs.result import Described, Figures
from scaseg.schema import Run
from scaseg.typed import to_plain

PACKAGES = ("torch", "lightning", "hydra-core", "timm", "torchmetrics", "albumentations", "numpy", "scaseg")


def describe(run: Run, model: Segmentor, labels: LabelTable, scores: Scores | None, commit: str | None) -> Described:
    """What every result says: figures in percent, configuration, protocol, parameters, versions, machine.

    scores: None for a split without masks. commit: of the code as it was when the program started, for a checkout may
    move on meanwhile.
    """
    encoder = sum(p.numel() for p in model.encoder.parameters())
    decoder = sum(p.numel() for p in model.decoder.parameters())
    on_gpu = torch.cuda.is_available()
    return {
        "dataset": run.dataset.name,
        "backbone": run.backbone.name,
        "decoder": run.decoder.name,
        "seed": run.seed,
        "config": to_plain(run),
        "protocol": to_plain(run.protocol),
        **figures(scores, labels),
        "encoder_params": encoder,
        "decoder_params": decoder,
        "params": encoder + decoder,
        "git_commit": commit,
        "versions": {"python": platform.python_version(), **_versions()},
        "peak_memory_mb": _peak_memory_mb(),
        "device": torch.cuda.get_device_name() if on_gpu else processor_name(),
        "threads": torch.get_num_threads(),
    }


def figures(scores: Scores | None, labels: LabelTable) -> Figures:
    """Figures as result.json has them, in percent; a figure of nothing (no labelled pixel) is None."""
    if scores is None:
        return {"mIoU": None, "pixel_accuracy": None, "mean_accuracy": None, "per_class": None, "absent": None}
    thresholds = zip(labels.names[labels.num_classes - len(scores.thresholds) :], scores.thresholds, strict=True)
    found: Figures = {
        "mIoU": _number(scores.mean_iou),
        "pixel_accuracy": _number(scores.pixel_accuracy),
        "mean_accuracy": _number(scores.mean_accuracy),
        "per_class": {
            name: {
                "iou": None if i in scores.absent else _number(scores.iou[i]),
                "accuracy": None if i in scores.absent else _number(scores.accuracy[i]),
                "pixels": scores.pixels[i],
            }
            for i, name in enumerate(labels.names)
        },
        "absent": [labels.names[i] for i in scores.absent],
    }
    return {**found, "thresholds": dict(thresholds)} if scores.thresholds else found


def more_figures(found: Mapping[str, float]) -> dict[str, float | None]:
    """Metrics besides these, by column of metrics.csv, as result.json has them."""
    return {name: _number(value) for name, value in found.items()}


def _number(value: float) -> float | None:
    """None for nan, which JSON does not know."""
    return None if value != value else value


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a checkout that is not installed
            versions[name] = None
    return versions


def _peak_memory_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
