"""From the choices of loss, optimizer, schedule and logger to their objects."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch.loggers.logger import Logger

from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.losses.class_weights import by_frequency
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.losses.term import Term
from scaseg.named import LOGGERS, LOSSES, OPTIMIZERS, SCHEDULES, built
from scaseg.parts import LossTerm, Optimizer, Schedule
from scaseg.schedules import schedule
from scaseg.schema import Run, Training
from scaseg.training.optimiser import Group
from scaseg.typed import Part


def build_loss(
    terms: Mapping[str, LossTerm], dataset: str, labels: LabelTable, pixels: Sequence[int] | None = None
) -> SegmentationLoss:
    """Of its terms; pixels: of each class in the training split, which `class_weights=auto` takes.

    Raises UserError where a class is not there, refuses a value or has weights for other classes.
    """
    terms = {name: _weighed(name, term, pixels) for name, term in terms.items()}
    for name, term in terms.items():
        weights = term.class_weights
        if weights is not None and len(weights) != labels.num_classes:
            raise UserError(
                f"loss.{name}.class_weights has {len(weights)} weights, dataset={dataset} has"
                f" {labels.num_classes} classes: give one for each, in the order {', '.join(labels.names)}"
            )
    modules = {
        name: built(term, f"loss.{name}", LOSSES, Term, "a term of a loss", without=("weight",))
        for name, term in terms.items()
    }
    return SegmentationLoss(modules, {name: term.weight for name, term in terms.items()})


def _weighed(name: str, term: LossTerm, pixels: Sequence[int] | None) -> LossTerm:
    if not term.auto:
        return term
    if pixels is None:
        raise UserError(f"loss.{name}.class_weights=auto: the pixels of the training split were not counted")
    return term.changed(class_weights=by_frequency(pixels))


def build_optimizer(chosen: Mapping[str, Optimizer], groups: Sequence[Group], precision: str) -> torch.optim.Optimizer:
    """The chosen one over the groups, which have their own rates and decay."""
    ((name, part),) = chosen.items()
    parameters = [{key: value for key, value in group.items() if key != "names"} for group in groups]
    # fused: one pass over the parameters in place of one an operation; under AMP Lightning does not clip beside it
    prefer = {"fused": not precision.endswith("mixed")}
    kind, key = torch.optim.Optimizer, f"optimizer.{name}"
    optimizer: torch.optim.Optimizer = built(part, key, OPTIMIZERS, kind, "an optimizer", parameters, prefer=prefer)
    return optimizer


def build_schedule(chosen: Mapping[str, Schedule], recipe: Training) -> Callable[[int], float]:
    """The factor on the learning rates at each step."""
    ((name, part),) = chosen.items()
    kind = built(part, f"schedule.{name}", SCHEDULES, schedule.Schedule, "a schedule")
    return schedule.warmed_up(kind, recipe.max_steps, recipe.warmup_steps, recipe.warmup_ratio)


def build_logger(name: str, part: Part, run: Run, folder: Path) -> Logger:
    """Of a run in its folder."""
    logger: Logger = built(part, f"logger.{name}", LOGGERS, Logger, "a logger", run, folder)
    return logger
