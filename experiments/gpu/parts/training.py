"""(5) Three hundred steps in float32, bfloat16 and float16, accumulated, averaged, compiled, cut off; two processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from statistics import mean, median
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback, Trainer

from experiments.gpu.section import Section, Setting
from experiments.gpu.train import SMALL, SMALL_MIT, SMALL_SHAPES, trained
from scaseg.report.curves import COLUMNS, drawn, save, series
from scaseg.runs.folder import RESULT
from scaseg.runs.result import read_result

STEPS = 300
RECIPE = (f"training.max_steps={STEPS}", "training.val_every=100", "training.checkpoint_every=50", "pictures=0")
FP32 = "fp32"
VARIANTS = {
    FP32: (),
    "bf16": ("training.precision=bf16-mixed",),
    "fp16": ("training.precision=16-mixed",),
    "accumulation": ("training.batch_size_per_device={half}",),
    "average": ("training.ema_decay=0.99",),
    "compiled, bf16": ("training.precision=bf16-mixed", "training.compile=true"),
}
CUT, TWO = "cut off and resumed", "two processes"


class CutOffError(Exception):
    pass


class Cut(Callback):
    """Ends a run as a crash would, after so many steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            raise CutOffError


def run(setting: Setting, section: Section) -> None:
    base = ["dataset=shapes", *(SMALL + SMALL_SHAPES + SMALL_MIT if setting.rehearse else RECIPE)]
    half = 2 if setting.rehearse else 8
    folders: dict[str, Path] = {}
    section.note("SCASeg mit_b0 on dataset=shapes from random weights, seed 0, the same batches in every run.")
    for name, options in VARIANTS.items():
        if setting.rehearse and "training.compile=true" in options:
            section.note(f"{name}: not rehearsed, a compiler takes minutes on a CPU")
            continue
        with section.attempt(name):
            overrides = [*base, *(option.format(half=half) for option in options)]
            folders[name], result = trained(setting, name.replace(", ", "-"), overrides)
            tell(section, name, folders[name], folders[FP32])
            if (plain := result["plain_weights"]) is not None:
                section.add(f"{name}: mIoU without the average", "%", plain["mIoU"])
    with section.attempt(CUT):
        try:
            trained(setting, "cut", base, [Cut(2 if setting.rehearse else STEPS // 2)])
        except CutOffError:
            folders[CUT], _ = trained(setting, "cut", base)
            tell(section, CUT, folders[CUT], folders[FP32])
        else:
            raise RuntimeError("the run was not cut off")
    with section.attempt(TWO):
        folders[TWO] = two_processes(setting, base)
        tell(section, TWO, folders[TWO], folders[FP32])
    curves = {name: [series(folder / "metrics.csv", column) for column in COLUMNS] for name, folder in folders.items()}
    save("output", drawn(curves), setting.output / "curves.png", 110)
    section.pictures.append("curves.png")
    section.save()


def tell(section: Section, name: str, folder: Path, beside: Path) -> None:
    """Of a run: its figures, and how far its logged losses are from those of the float32 run."""
    losses, others = (dict(zip(*series(one / "metrics.csv", COLUMNS[0]), strict=True)) for one in (folder, beside))
    section.add(f"{name}: mIoU", "%", read_result(folder)["mIoU"])
    section.add(f"{name}: mean loss of the last third", "", mean(list(losses.values())[-max(1, len(losses) // 3) :]))
    section.add(f"{name}: median speed", "images/s", median(series(folder / "metrics.csv", "train/images_per_s")[1]))
    if folder != beside:
        apart = max(abs(losses[step] - others[step]) for step in losses.keys() & others.keys())
        section.add(f"{name}: largest distance of a logged loss to {FP32}'s", "", apart)


def two_processes(setting: Setting, base: list[str]) -> Path:
    """The run of two processes with a device each that is the same one: see experiments/gpu/rank.py."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    output = setting.work / "runs" / "two"
    overrides = [*base, f"output_dir={output}"]
    ranks = []
    for rank in ("0", "1"):
        environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": rank}
        command = [sys.executable, "-m", "experiments.gpu.rank", setting.text(), *overrides]
        with (setting.work / f"rank{rank}.log").open("w") as log:
            ranks.append(
                subprocess.Popen(
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
            )
    try:
        statuses = [process.wait(min(180.0, setting.left - 5)) for process in ranks]
    finally:
        for process in ranks:
            process.kill()
            process.wait()
    if any(statuses):
        logs = "\n".join((setting.work / f"rank{rank}.log").read_text()[-2000:] for rank in (0, 1))
        raise RuntimeError(f"ended with statuses {statuses}\n{logs}")
    (result,) = output.glob(f"*/{RESULT}")
    folder = result.parent
    if read_result(folder)["world_size"] != 2:
        raise RuntimeError("two processes each trained alone")
    return folder
