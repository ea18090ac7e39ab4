"""A program for the tests of sweeps: the command train without torch. Its runs step, and end as their seed says.

seed 1: raises, 2: kills itself, 3: user error, each at its first attempt;
5: waits for a minute, 6: and ignores SIGTERM, 8: waits for the file FAKE_GO. FAKE_SECONDS: how long a run takes;
FAKE_TRACE: a file that tells who ran.
"""

import json
import os
import signal
import time
from pathlib import Path

from scaseg.commands import command
from scaseg.config import TrainConfig, run_of
from scaseg.errors import UserError
from scaseg.runs import store
from scaseg.schema import check_trainable
from scaseg.typed import to_plain

STEPS = 10


@command("train", TrainConfig)
def main(cfg: TrainConfig) -> None:
    from scaseg.runs.asked import name_of

    run = run_of(cfg)
    check_trainable(run)
    folder = Path(cfg.output_dir) / name_of(run, {})
    if (folder / "result.json").exists() and not cfg.fresh:
        return
    with store.claimed(folder, cfg.fresh):
        if (folder / "result.json").exists():
            return
        (folder / "config.yaml").write_text(json.dumps(to_plain(run)))
        with Path(os.environ["FAKE_TRACE"]).open("a") as trace:
            trace.write(f"{folder.name} {os.environ['OMP_NUM_THREADS']} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n")
        work(cfg, folder)


def work(cfg: TrainConfig, folder: Path) -> None:
    checkpoint = folder / "step"
    first = int(checkpoint.read_text()) if checkpoint.exists() else 0
    store.progress(folder, first_step=first, step=first, max_steps=STEPS)
    for step in range(first, STEPS):
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0.1")) / STEPS)
        checkpoint.write_text(str(step + 1))
        store.progress(folder, step=step + 1, best_mIoU=float(step))
        if step == 4:
            match cfg.seed:
                case 1:
                    raise ValueError("one by itself")
                case 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                case 3:
                    raise UserError("the data have a fault")
                case 8:
                    wait(Path(os.environ["FAKE_GO"]))
                case 5 | 6:
                    if cfg.seed == 6:
                        signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    wait(Path("nowhere"))
    content = {"mIoU": 40.0 + cfg.seed, "best": {"mIoU": 41.0 + cfg.seed, "step": 5}, "first": first}
    (folder / "result.json").write_text(json.dumps(content))


def wait(file: Path) -> None:
    for _ in range(1200):
        if file.exists():
            return
        time.sleep(0.05)


if __name__ == "__main__":
    main()
