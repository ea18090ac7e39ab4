"""How training samples are augmented: the keys; what they do is in scaseg.data.transforms."""

from dataclasses import dataclass, field
from math import inf

from scaseg.errors import UserError
from scaseg.evaluation.protocol import check_box
from scaseg.form import Form
from scaseg.typed import Checked, Yaml, number

PAD_COLOUR = (124, 116, 104)  # the model's mean: what is 0 after normalisation


@dataclass
class Augment(Checked):
    """Training augmentation; sizes are (height, width), boxes (long side, short side), all in pixels."""

    section = "augment"
    resize_box: list[int] | None = None  # null: the image's own size
    scale: list[float] = field(default_factory=lambda: [0.5, 2.0])
    crop_size: list[int] = field(default_factory=lambda: [512, 512])
    cat_max_ratio: float = number(0.75, 0.01, 1)
    flip: float = number(0.5, 0, 1)
    photometric: bool = True  # of other pictures than RGB of 8 bits brightness and contrast alone
    hue: float = number(18.0, 0, 180)  # degrees to either side; mmsegmentation's 18 are of 180 a turn: 36 here
    before: list[Yaml] = field(default_factory=list)  # before these, on the image: {_target_: albumentations.X, ...}
    transforms: list[Yaml] = field(default_factory=list)  # after these, on the crop, as those

    def check(self) -> None:
        if len(self.crop_size) != 2 or min(self.crop_size) < 32:
            raise UserError(f"augment.crop_size={self.crop_size}: (height, width), each at least 32")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] < inf:
            raise UserError(f"augment.scale={self.scale}: two factors, the smaller first")
        check_box("augment.resize_box", self.resize_box)


def padding(form: Form) -> tuple[float, ...]:
    """What a picture is padded with, of each channel: its mean, which is 0 after normalisation."""
    if form.mean is None:
        return PAD_COLOUR
    return tuple(float(round(one)) for one in form.mean) if form.dtype == "uint8" else form.mean
