"""Lightning's trainer as this project wants it, and which of its processes this is."""

import inspect
import os
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from scaseg.errors import UserError
from scaseg.schema import Hardware
from scaseg.training.checkpoints import WholeFiles


def process_rank() -> int:
    """Rank of this process as its launcher set it, 0 where there is none; with Lightning's own, 0 for one alone."""
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        if name in os.environ:
            return int(os.environ[name]) + (int(os.environ.get("NODE_RANK", 0)) if name == "LOCAL_RANK" else 0)
    return int(os.environ.get("NODE_RANK", 0))


def build_trainer(hardware: Hardware, precision: str, callbacks: list[Callback], **options: Any) -> Trainer:
    """Lightning's trainer for this machine, without the checkpoints, bars and samplers of its own.

    Raises UserError where hardware or precision do not fit this machine.
    """
    world = hardware.world_size
    # Buffers are brought together before each validation; at every forward pass they would keep processes with
    # unequal numbers of evaluation batches waiting for each other.
    known = inspect.signature(DistributedDataParallel).parameters
    at_forward = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # torch < 2.13
    options_of_ddp: dict[str, Any] = {at_forward: False}
    strategy = DDPStrategy(**options_of_ddp) if world > 1 else "auto"
    try:
        return Trainer(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=hardware.num_nodes,
            strategy=strategy,
            precision=precision,  # type: ignore[arg-type]
            callbacks=callbacks,
            plugins=[WholeFiles()],
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
    except (MisconfigurationException, ImportError, ValueError, RuntimeError, TypeError) as error:
        raise UserError(
            f"hardware.accelerator={hardware.accelerator}, hardware.devices={hardware.devices} or"
            f" training.precision={precision} do not fit this machine: {error}"
        ) from error
