"""What a sweep costs: its own memory over the number of jobs, a job's start, two jobs at a time beside one.

    python -m experiments.sweep.measure FOLDER

Needs two quiet cores. Jobs at a time are measured on real trainings, memory on jobs that only pretend to train (the
sweep's own process does not know the difference).
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from experiments.sweep.disturb import TINY

LONGER = ["training.max_steps=120", "training.val_every=120", "training.checkpoint_every=120", "training.log_every=40"]


def main(folder: Path) -> None:
    print("jobs  peak memory of the sweep's own process, MB")
    for count in (2, 10, 40):
        print(f"{count:4}  {own_memory(folder / f'memory{count}', count):.1f}", flush=True)
    start = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import scaseg.training.run"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"process start and imports of a job: {time.monotonic() - start:.1f} s, of it {cpu:.1f} s of processor time")
    seconds = {parallel: trained(folder / f"parallel{parallel}", parallel) for parallel in (1, 2)}
    for parallel, passed in seconds.items():
        print(f"4 trainings, {parallel} at a time on {len(os.sched_getaffinity(0))} cores: {passed:.1f} s")
    print(f"ratio {seconds[1] / seconds[2]:.2f}, load of the machine at the end {os.getloadavg()[0]:.1f}")


def own_memory(output: Path, count: int) -> float:
    """Peak resident memory of the sweep's process alone."""
    output.mkdir(parents=True)
    seeds = ",".join(str(100 + i) for i in range(count))
    program = ["-m", "tests.sweep.fake_train", "--multirun", f"seed={seeds}", f"output_dir={output}"]
    environment = {**os.environ, "FAKE_TRACE": str(output / "trace"), "FAKE_SECONDS": "0.05"}
    options = ["hydra.launcher.max_parallel=2"]
    sweep = subprocess.Popen([sys.executable, *program, *options], env=environment, stderr=subprocess.DEVNULL)
    peak = 0.0
    while sweep.poll() is None:
        for line in Path(f"/proc/{sweep.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = max(peak, int(line.split()[1]) / 1024)
        time.sleep(0.05)
    assert sweep.returncode == 0
    return peak


def trained(output: Path, parallel: int) -> float:
    """Seconds of a sweep of four trainings."""
    options = [f"hydra.launcher.max_parallel={parallel}", f"output_dir={output}", "seed=0,1,2,3", *TINY, *LONGER]
    start = time.monotonic()
    program = [sys.executable, "-m", "scaseg.train", "--multirun", *options]
    # no thread limits from outside: how many each job takes is what the launcher decides
    environment = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    subprocess.run(program, check=True, stderr=subprocess.DEVNULL, env=environment)
    return time.monotonic() - start


if __name__ == "__main__":
    main(Path(sys.argv[1]))
