"""Pixels of each class in the training split, which weigh classes (`class_weights=auto`): counted once for a run.

They are part of the configuration that the run's folder and its checkpoints keep, and follow from its data, which name
it: what goes on with the run, or evaluates it, does not count again.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from scaseg.data.labels import LabelTable
from scaseg.data.survey import survey
from scaseg.losses.class_weights import RULE, by_frequency
from scaseg.progress import counting
from scaseg.runs.asked import Asked
from scaseg.runs.folder import CONFIG
from scaseg.schema import Run
from scaseg.training.trainer import process_rank

TRAIN = "train"


def with_pixels(run: Asked) -> Run:
    """The configuration with the training split's pixels, where a term of the loss asks for them.

    Each of several processes counts the whole split, or reads what the first has kept. A run of no steps has no split
    to train on, and none is counted: its weights are all 1. Raises UserError, naming the file, for a mask that cannot
    be read.
    """
    config, classes = run.config, run.val.labels.num_classes
    if not any(term.auto for term in config.loss.values()):
        return config
    if run.train is None:
        return replace(config, class_pixels={TRAIN: [0] * classes})
    pixels = _kept(run.folder / CONFIG)
    if len(pixels) != classes:
        report = counting(f"counting the pixels of {config.dataset.train_split}") if process_rank() == 0 else None
        pixels = survey(run.train, whole=True, report=report).pixels[:-1].tolist()
    return replace(config, class_pixels={TRAIN: pixels})


def sentences(config: Run, labels: LabelTable) -> Iterator[str]:
    """Of each term with such weights: the rule and what came of it; none where no pixel was counted."""
    pixels = config.class_pixels.get(TRAIN, [])
    for name, term in config.loss.items():
        if term.auto and any(pixels):
            weights = zip(labels.names, by_frequency(pixels), strict=True)
            shown = ", ".join(f"{label} {weight:.2f}" for label, weight in weights)
            yield f"loss.{name}.class_weights=auto: of each class {RULE}: {shown}"


def _kept(path: Path) -> list[int]:
    """Those of a run that was begun; none where there is no such file, or none that can be read."""
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [int(count) for count in plain["class_pixels"][TRAIN]]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return []
