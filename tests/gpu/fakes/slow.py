import os
import subprocess
import time

from experiments.gpu.section import Section, Setting


def run(setting: Setting, section: Section) -> None:
    """Takes its time, with a process of its own, while the file `wait` lies there."""
    section.add("a figure in time", "x", 1.0)
    if (setting.output / "wait").exists():
        child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
        (setting.work / "pids").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
