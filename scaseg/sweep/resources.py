"""What each of several jobs at a time gets of the machine: GPUs, or CPU threads."""

import os
import shutil
import subprocess

from scaseg.errors import UserError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def slots(max_parallel: int | None, jobs: int, devices: int, accelerator: str) -> list[dict[str, str]]:
    """The environment of each of the jobs that run at a time; there are as many as jobs may run at a time.

    devices: processes (and GPUs) of a job. A job of one GPU sees that one alone; with more jobs at a time than
    GPUs suffice for, they take turns. CPU threads are shared equally; a number that is set already is kept where it
    is smaller.
    """
    if max_parallel is not None and max_parallel < 1:
        raise UserError(f"hydra.launcher.max_parallel={max_parallel} must be at least 1, or null")
    gpus = [] if accelerator == "cpu" else visible_gpus()
    cores = len(os.sched_getaffinity(0))
    if max_parallel is None:
        max_parallel = max(1, (len(gpus) if gpus else cores // 2) // devices)
    count = max(1, min(max_parallel, jobs))
    threads = max(1, cores // count // devices)
    environments = []
    for slot in range(count):
        environment = {name: str(min(threads, _number(os.environ.get(name), threads))) for name in THREADS}
        if gpus:
            mine = dict.fromkeys(gpus[(slot * devices + i) % len(gpus)] for i in range(devices))
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
        environments.append(environment)
    return environments


def visible_gpus() -> list[str]:
    """Names of the GPUs that a job may see, as CUDA_VISIBLE_DEVICES has them; without importing torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        told = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i in range(sum(line.startswith("GPU ") for line in told.splitlines()))]


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdigit() and int(text) > 0 else otherwise
