"""Loaders over one stream of sample counters, so that a resumed run sees what an uninterrupted one would have."""

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from scaseg.data.cache import SHARED_MEMORY, Cache
from scaseg.data.datasets import (
    CounterBatches,
    EvalSamples,
    ShardedIndices,
    TrainSamples,
    collate_eval,
    collate_train,
    start_worker,
    starting_workers,
)
from scaseg.data.folder import FolderDataset
from scaseg.data.source import Source
from scaseg.errors import UserError
from scaseg.schema import Run


class StreamLoader(DataLoader[Any]):
    """A loader whose place in the stream of samples follows from the trainer's step alone.

    Lightning takes a loader with `state_dict` and `load_state_dict` for one that can resume, and this one can.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        try:
            with starting_workers():
                batches = super().__iter__()
            yield from batches
        except UserError as error:
            # torch makes the text of a worker's traceback the message: the error's own message is its end
            _, _, message = str(error).rpartition(f"{UserError.__module__}.{UserError.__name__}: ")
            raise UserError(message.strip()) from None
        except RuntimeError as error:  # torch's words
            if any(text in str(error) for text in ("shared memory", "Bus error")):
                raise UserError(self._no_shared_memory()) from None
            if "exited unexpectedly" in str(error):
                raise UserError(
                    f"a loader process was ended from outside, as the system does where memory runs out: fewer of them,"
                    f" hardware.num_workers={self.num_workers // 2}, need less"
                ) from None
            raise

    def _no_shared_memory(self) -> str:
        size = shutil.disk_usage(SHARED_MEMORY).total / 2**20 if SHARED_MEMORY.is_dir() else 0
        return (
            f"{SHARED_MEMORY} ({size:.0f} MB) is too small for the batches of hardware.num_workers={self.num_workers}"
            " loader processes: give it more (docker run --shm-size=1g), or load in the training process,"
            " hardware.num_workers=0"
        )

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the step is in the checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing: the batch sampler was made for the step."""


class SegmentationData(LightningDataModule):
    """Training and evaluation loaders of one configuration.

    train and val: the sources of these splits, or None where
    one is not wanted; more: those of config.more_data, in order.
    """

    def __init__(self, config: Run, train: Source | None, val: Source | None, more: Sequence[Source] = ()) -> None:
        super().__init__()
        world = config.hardware.world_size
        if val is not None and len(val) < world:
            raise UserError(
                f"{len(val)} images to evaluate cannot be shared among {world} processes"
                f" (hardware.devices x num_nodes): take at most {len(val)}"
            )
        self.config = config
        self.train_source = train
        self.val_source = val
        self.more = more
        if config.hardware.cache is not None:
            cache = Cache(config.hardware.cache)
            for source in (train, val, *more):
                if isinstance(source, FolderDataset):
                    source.cache = cache

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None and self.train_source is not None
        recipe = self.config.training
        world, rank = self.trainer.world_size, self.trainer.global_rank
        total = recipe.batch_size
        per_device, _ = recipe.accumulation(world)
        batches = CounterBatches(
            start=self.trainer.global_step * total,
            total=recipe.max_steps * total,
            batch_size=per_device,
            rank=rank,
            world_size=world,
        )
        more = [(source, one.weight) for source, one in zip(self.more, self.config.more_data, strict=True)]
        form = self.config.dataset.form
        samples = TrainSamples(self.train_source, self.config.augment, self.config.seed, form, more)
        return self._loader(samples, batch_sampler=batches, collate_fn=collate_train)

    def val_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None and self.val_source is not None
        samples = EvalSamples(self.val_source, self.config.protocol)
        indices = ShardedIndices(len(samples), self.trainer.global_rank, self.trainer.world_size)
        return self._loader(
            samples,
            sampler=indices,
            batch_size=self.config.hardware.eval_batch_size,
            collate_fn=collate_eval,
        )

    def _loader(self, samples: Dataset[Any], **options: Any) -> DataLoader[Any]:
        workers = self.config.hardware.num_workers
        if workers is None:
            workers = default_workers(self.config.hardware.devices)
        return StreamLoader(
            samples,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,
            worker_init_fn=start_worker,
            **options,
        )


def default_workers(devices: int) -> int:
    """Loader processes a device: on a GPU up to 8 of the cores, on a CPU one, as training wants the cores."""
    if not torch.cuda.is_available():
        return 1
    return max(1, min(8, (os.cpu_count() or 1) // max(1, devices)))
