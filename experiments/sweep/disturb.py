"""A sweep of 12 jobs that is disturbed as much as it can be, beside the same sweep left in peace.

    python experiments/sweep/disturb.py FOLDER [OVERRIDE ...]

The largest learning rate fails by itself. One job gets SIGKILL while it trains; when four are done, the sweep and
what it runs get SIGKILL. The same command then runs again, and a second sweep undisturbed. At the end checkpoints,
optimiser states, logs and figures of both are compared bit for bit.
"""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RATES = [0.0002, 0.0003, 0.0005, 0.0007, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 1e12]
TINY = [
    *("dataset.size=[32,64]", "dataset.length=11", "augment.crop_size=[32,64]", "backbone.channels=[8,16,40,32]"),
    *("backbone.depths=[1,1,1,1]", "decoder.embed_channels=16", "training.max_steps=24", "training.batch_size=4"),
    *("training.warmup_steps=2", "training.grad_clip=null", "training.val_every=8", "training.checkpoint_every=3"),
    *("training.log_every=2", "hardware.accelerator=cpu", "hardware.num_workers=0", "hardware.eval_batch_size=4"),
    "pictures=1",
]


def main(folder: Path, overrides: list[str]) -> None:
    disturbed, peaceful = folder / "disturbed", folder / "peaceful"
    sweep = start(disturbed, overrides)
    wait_until(sweep, lambda: training(disturbed))
    victim = training(disturbed)[0]
    print(f"### kill -9 {victim['pid']}: the job {victim['label']}, at step {victim['step']}", flush=True)
    os.kill(victim["pid"], signal.SIGKILL)
    wait_until(sweep, lambda: len(list(disturbed.glob("*/result.json"))) >= 4 and training(disturbed))
    sweep.kill()
    print(f"### kill -9 {sweep.pid}: the sweep itself", flush=True)
    sweep.wait()
    for state in states(disturbed):
        if state["status"] == "running":
            print(f"### kill -9 {state['pid']}: its job {state['label']}, at step {state['step']}", flush=True)
            os.kill(state["pid"], signal.SIGKILL)
    print("### the same command again", flush=True)
    again = start(disturbed, overrides).wait()
    print(f"### exit status {again}; now a sweep that nobody disturbs", flush=True)
    print(f"### exit status {start(peaceful, overrides).wait()}", flush=True)
    equal = [run.name for run in sorted(peaceful.glob("shapes*/")) if equals(disturbed / run.name, run)]
    failed = [state for state in states(disturbed) if state["status"] == "failed"]
    print(f"equal bit for bit: {len(equal)} of {len(RATES)} runs")
    for state in failed:
        print(f"failed: {state['label']}: {state['error']}")


def start(output: Path, overrides: list[str]) -> "subprocess.Popen[bytes]":
    rates = "training.lr=" + ",".join(f"{rate:g}" for rate in RATES)
    command = ["-m", "scaseg.train", "--multirun", rates, *overrides, f"output_dir={output}", *TINY]
    print(f"$ python {shlex.join(command)}", flush=True)
    return subprocess.Popen([sys.executable, *command])


def states(output: Path) -> list[dict[str, Any]]:
    from scaseg.runs import store

    return [store.read(file.parent) for file in sorted(output.glob("*/status.json"))]


def training(output: Path) -> list[dict[str, Any]]:
    """Jobs in the middle of it."""
    return [state for state in states(output) if state["status"] == "running" and (state["step"] or 0) > 3]


def wait_until(sweep: "subprocess.Popen[bytes]", condition: Any) -> None:
    while not condition():
        if sweep.poll() is not None:
            raise SystemExit("the sweep ended before it could be disturbed")
        time.sleep(0.02)


def equals(ours: Path, theirs: Path) -> bool:
    """Whether two run folders hold the same, but for what depends on the clock."""
    if not (ours / "result.json").exists() or not (theirs / "result.json").exists():
        return False
    import scaseg.torchvision_fix  # noqa: F401

    import torch

    for name in ("last.ckpt", "best.ckpt"):
        a, b = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (ours, theirs))
        if not all(same(a[key], b[key]) for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step")):
            return False
    return logged(ours) == logged(theirs) and figures(ours) == figures(theirs)


def same(a: Any, b: Any) -> bool:
    import torch

    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def logged(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("train/images_per_s", "train/data_wait")} for row in rows]


def figures(run: Path) -> dict[str, Any]:
    result = json.loads((run / "result.json").read_text())
    return {key: result[key] for key in ("mIoU", "pixel_accuracy", "mean_accuracy", "per_class", "absent", "best")}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
