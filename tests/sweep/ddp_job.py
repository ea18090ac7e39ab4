"""The command train, with processes of distributed runs that end badly at step 3.

seed 1: the second process raises, 2: the first does, 3: the second is killed.
"""

import os
import signal
from typing import Any

from scaseg.commands import command
from scaseg.config import TrainConfig, run_of


@command("train", TrainConfig)
def main(cfg: TrainConfig) -> None:
    import scaseg.torchvision_fix  # noqa: F401

    from lightning.pytorch import Callback, Trainer

    from scaseg.runs.asked import asked
    from scaseg.training.run import train

    class Crash(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.global_step == 3 and (cfg.seed, trainer.global_rank) in ((1, 1), (2, 0)):
                raise ValueError(f"process {trainer.global_rank} has had enough")
            if trainer.global_step == 3 and (cfg.seed, trainer.global_rank) == (3, 1):
                os.kill(os.getpid(), signal.SIGKILL)

    train(asked(run_of(cfg)), (Crash(),))


if __name__ == "__main__":
    main()
