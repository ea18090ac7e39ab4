"""Who looks on while a run trains: what logs, draws, saves and stops, in the order in which they are asked."""

from dataclasses import dataclass
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback
from lightning.pytorch.loggers.logger import Logger

from scaseg.runs.asked import Asked
from scaseg.runs.folder import CHECKPOINTS
from scaseg.schema import Run
from scaseg.training.average import Average
from scaseg.training.checkpoints import Checkpoints
from scaseg.training.csv_log import CsvLog
from scaseg.training.heartbeat import Heartbeat
from scaseg.training.image_counts import CountImages
from scaseg.training.journal import CounterRandomness, Journal
from scaseg.training.media import Media
from scaseg.training.pictures import Pictures, spread
from scaseg.training.progress import ProgressLine
from scaseg.training.recipe import build_logger
from scaseg.training.stop import Stop
from scaseg.training.strip_watch import StripWatch


@dataclass
class Watchers:
    """Who looks on while a run trains; callbacks: all of them, in their order."""

    callbacks: list[Callback]
    journal: Journal
    checkpoints: Checkpoints
    pictures: Pictures
    counts: CountImages
    average: Average | None


def watchers(run: Asked, folder: Path) -> Watchers:
    """Of a run in its folder."""
    config, recipe, labels = run.config, run.config.training, run.val.labels
    counts = CountImages("boundary" in config.metrics)
    journal, stop = Journal(recipe.log_every, counts), Stop()
    checkpoints = Checkpoints(folder / CHECKPOINTS, recipe.checkpoint_every, recipe.validated_every, journal, stop)
    names = [run.val.name(i) for i in range(len(run.val))]
    pictures = Pictures(folder / "pictures", labels, spread(names, config.pictures), config.dataset.form)
    callbacks: list[Callback] = [
        CounterRandomness(config.seed),
        journal,
        ProgressLine(recipe.max_steps),
        StripWatch(recipe.log_every),
        Heartbeat(folder, recipe.max_steps, checkpoints),
        pictures,
        counts,
    ]
    average = None
    if recipe.ema_decay is not None and recipe.max_steps:
        average = Average(recipe.ema_decay, recipe.ema_warmup)
        callbacks.insert(0, average)
    callbacks.append(Media(labels, pictures, journal))
    return Watchers([*callbacks, stop, checkpoints], journal, checkpoints, pictures, counts, average)


def loggers(config: Run, folder: Path, csv_log: CsvLog) -> list[Logger]:
    """metrics.csv, and what else was asked for."""
    return [csv_log, *(build_logger(name, part, config, folder) for name, part in config.logger.items())]
