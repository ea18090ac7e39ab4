"""One of two processes on one device: `python -m experiments.gpu.rank SETTING OVERRIDE ...`, NODE_RANK set.

Lightning takes them for two machines with a device each. NCCL refuses two processes on one GPU, so gloo joins them;
SyncBatchNorm works over it, on a GPU alone.
"""

import sys
from functools import partial

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch.strategies import DDPStrategy

from experiments.gpu.section import Setting
from experiments.gpu.train import accelerator
from scaseg.config import compose, run_config
from scaseg.runs.asked import asked
from scaseg.training import trainer
from scaseg.training.run import train


def main(setting: Setting, overrides: list[str]) -> None:
    trainer.DDPStrategy = partial(DDPStrategy, process_group_backend="gloo")  # type: ignore[assignment, misc]
    train(asked(run_config(compose("train", [*overrides, accelerator(setting), "hardware.num_nodes=2"]))))


if __name__ == "__main__":
    main(Setting.read(sys.argv[1]), sys.argv[2:])
