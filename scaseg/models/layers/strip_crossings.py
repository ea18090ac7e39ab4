"""From how much work on strip attention's spline is its fastest form on a GPU, by the device's name.

Work counts images x heads x queries x keys. A device is measured, and its line of the table written, by
`python -m experiments.gpu.run`; on a device without a line UNMEASURED holds.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from math import inf
from pathlib import Path

import torch

from scaseg.errors import UserError
from scaseg.files import write_json

TABLE = Path(__file__).with_name("strip_crossings.json")


@dataclass(frozen=True)
class Crossing:
    """The least work for single and for half precision; None: the spline was slower at all that was measured."""

    float32: int | None
    half: int | None
    measured: str = ""  # the date, and torch's version

    def least(self, half: bool) -> float:
        work = self.half if half else self.float32
        return inf if work is None else work


# Reckoned, not measured: the spline's ninety or so launches take a GPU about half a millisecond at any size, and with
# heads of 32 channels a fused kernel does so much work in that time. It errs to the fused kernel.
UNMEASURED = Crossing(2**28, 2**30)


def least_work(device: torch.device, half: bool) -> float:
    """Where the spline takes over on a CUDA device. Raises UserError where the table cannot be read."""
    name = torch.cuda.get_device_name(device) if torch.cuda.is_available() else ""
    return _known().get(name, UNMEASURED).least(half)


# a number by the time that a compiler sees it, as of `spline.samples_to_table`
least_work._dynamo_marked_constant = True  # type: ignore[attr-defined]


def read_crossings(path: Path = TABLE) -> dict[str, Crossing]:
    """By the devices' names; none where there is no file. Raises UserError where it holds something else."""
    if not path.is_file():
        return {}
    try:
        lines = json.loads(path.read_text(encoding="utf-8"))
        table = {name: Crossing(**line) for name, line in lines.items()}
        if wrong := [name for name, line in table.items() if not _sound(line)]:
            raise ValueError(f"the line of {wrong[0]}")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not a table of strip attention's crossings ({error}): restore it from the repository, or remove"
            " it and measure this GPU again, python -m experiments.gpu.run parts=strip"
        ) from error
    return table


def write_crossing(name: str, crossing: Crossing, path: Path = TABLE) -> None:
    """Add or replace a device's line."""
    table = read_crossings(path) | {name: crossing}
    write_json(path, {name: asdict(line) for name, line in sorted(table.items())})
    _known.cache_clear()


@cache
def _known() -> dict[str, Crossing]:
    return read_crossings()


def _sound(line: Crossing) -> bool:
    works = (line.float32, line.half)
    return all(work is None or (type(work) is int and work > 0) for work in works) and isinstance(line.measured, str)
