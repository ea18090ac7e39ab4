"""A program for test_ddp.py: the tiny run, each process writing what it saw to OUTPUT/seen/RANK-FIRST_STEP.json.

python -m tests.training.seen_job OUTPUT CUT_AT_STEP [OVERRIDE ...]
"""

import json
import sys
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback, Trainer

from tests.training.tiny import config, run


class Seen(Callback):
    def __init__(self, folder: Path, cut: int) -> None:
        self.folder, self.cut = folder, cut
        self.sums: list[list[int]] = []

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.file = self.folder / f"{trainer.global_rank}-{trainer.global_step}.json"

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: dict[str, Any], batch_idx: int) -> None:
        if trainer.global_step == self.cut:
            raise KeyboardInterrupt
        self.sums.append(batch["image"].long().sum((1, 2, 3)).tolist())
        self.file.write_text(json.dumps(self.sums))


if __name__ == "__main__":
    output, cut = Path(sys.argv[1]), int(sys.argv[2])
    (output / "seen").mkdir(parents=True, exist_ok=True)
    run(config(output / "runs", *sys.argv[3:]), Seen(output / "seen", cut))
