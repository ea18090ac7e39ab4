"""What python -m scaseg.rank takes. Imports nothing heavy."""

from dataclasses import dataclass, field

from scaseg.schema import Device
from scaseg.typed import REQUIRED, Checked, number, one_of


@dataclass
class RankConfig(Checked):
    """The command's keys."""

    ckpt: str = REQUIRED  # a checkpoint, a run's folder, or a folder of scaseg.save_pretrained; decoder=scaseg
    budget: float = number(REQUIRED, 0)  # query/key channels a head, on average over all heads of all stages
    calibration: str = REQUIRED  # images like those to come: a folder, a file or a pattern; masks are not needed
    calibration_images: int = number(16, 1)  # evenly spaced among them
    by: str = one_of("loss", "loss", "energy")  # what a channel is worth: see scaseg/rank/worth.py
    output: str | None = None  # a new folder; null: rank-BUDGET beside the run's checkpoints
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Device = field(default_factory=Device)
