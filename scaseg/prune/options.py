"""What python -m scaseg.prune takes. Imports nothing heavy."""

from dataclasses import dataclass, field

from scaseg.schema import Device
from scaseg.typed import REQUIRED, Checked, number, one_of


@dataclass
class PruneConfig(Checked):
    """The command's keys."""

    ckpt: str = REQUIRED  # a checkpoint, a run's folder, or a folder of scaseg.save_pretrained
    target: float = number(REQUIRED, 0, 1)  # what is left of what it costs, at most
    by: str = one_of("macs", "time", "macs", "params")  # what it costs; time is measured, on the device below
    importance: str = one_of("taylor", "taylor", "l2")  # of a channel: see scaseg/prune/worth.py
    round: int = number(8, 1)  # widths become multiples of it, one at least
    depth: bool = False  # whole blocks of the encoder may go, too
    samples: int = number(64, 1)  # for taylor: images with masks, augmented and cropped as in training
    split: str | None = None  # of the dataset, which has them; null: that which the model was trained on
    data_dir: str | None = None  # null: the run's own
    image_size: list[int] | None = None  # (height, width) of the image that costs so much; null: as benchmark has it
    rounds: int = number(9, 1)  # for by=time: measurements of old and new in turn, of which the median ratio counts
    output: str | None = None  # a new folder; null: prune-TARGET beside the run's checkpoints
    allow: list[str] = field(default_factory=list)  # packages whose classes checkpoints may name; ours need none
    hardware: Device = field(default_factory=Device)
