"""What this machine computes with: figures and times say it. Imports nothing heavy."""

import platform


def processor_name() -> str:
    """The processor's name as Linux tells it, else its architecture."""
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
