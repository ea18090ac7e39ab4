"""What the framework adds to a training step: the run's Trainer against a bare loop over the same model and batches."""

import tempfile
import time
from dataclasses import replace
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.complexity.latency import Spread
from scaseg.data.datasets import TrainSamples, collate_train
from scaseg.data.source import Chosen
from scaseg.runs.asked import asked
from scaseg.schema import Run
from scaseg.training.class_pixels import with_pixels
from scaseg.training.run import train
from scaseg.training.task import SegmentationTask

BLOCK = 5  # steps timed at a time


class Stopwatch(Callback):
    """Between blocks of the Trainer's steps, times a block of the bare loop, so that both see the same machine."""

    def __init__(self, bare: Any, warmup: int) -> None:
        self.bare = bare
        self.warmup = warmup
        self.ratios: list[float] = []
        self.framework: list[float] = []
        self._start = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        # First in the list of callbacks, and the step before ended in its last one: all between is counted.
        if batch_idx % BLOCK or batch_idx < self.warmup:
            return
        now = time.perf_counter()
        if self._start:
            self.framework.append((now - self._start) / BLOCK)
            self.ratios.append(self.framework[-1] / self.bare())
        self._start = time.perf_counter()


def rows(cfg: BenchmarkConfig, run: Run) -> list[Row]:
    """Steps of the configured run, everything on, against forward, backward, clipping and update of the bare model."""
    found = asked(run)
    source = found.train
    assert source is not None
    warmup = 2 * BLOCK
    steps = warmup + BLOCK * (cfg.rounds + 1)
    with tempfile.TemporaryDirectory() as folder:
        recipe = replace(run.training, max_steps=steps, val_every=steps, checkpoint_every=10 * steps, log_every=20)
        config = replace(with_pixels(found), output_dir=folder, training=recipe)
        task = SegmentationTask(config, source.labels)
        optimizer = task.configure_optimizers()["optimizer"]  # type: ignore[index, call-overload]
        samples = TrainSamples(source, config.augment, 0)
        batch = collate_train([samples[n] for n in range(config.training.batch_size)])
        clip = config.training.grad_clip

        def bare() -> float:
            start = time.perf_counter()
            for _ in range(BLOCK):
                loss = task.loss(task.model(batch["image"]), task.task.target(batch["mask"]))
                optimizer.zero_grad()  # type: ignore[union-attr]
                loss.backward()
                if clip is not None:
                    torch.nn.utils.clip_grad_norm_(task.parameters(), clip)
                optimizer.step()  # type: ignore[union-attr]
            return (time.perf_counter() - start) / BLOCK

        bare()
        watch = Stopwatch(bare, warmup)
        train(replace(found, config=config, val=Chosen(source, [0])), (watch,))
    return [
        Row(
            "training step in the framework / the bare model's",
            "x",
            Spread.of(watch.ratios),
            "under 1.05",
        ),
        Row("training step in the framework", "s", Spread.of(watch.framework)),
        Row("torch threads", "", Spread.of([torch.get_num_threads()])),
    ]
