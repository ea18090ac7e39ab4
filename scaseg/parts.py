"""The choices of classes that make a model and its data, with what is known here of their arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from scaseg.typed import Part, check_choice, check_range


class Backbone(Part):
    """The encoder. weights: of it alone, a file, an address or a run; mean, std: the normalisation that they expect."""

    def check(self) -> None:
        check_range("backbone.drop_path", self.option("drop_path"), (0, 0.99))

    @property
    def weights(self) -> str | None:
        return self.text("weights")

    @property
    def pretrained(self) -> bool:
        """Whether the library that the encoder is of downloads its weights."""
        return bool(self.option("pretrained"))


class Decoder(Part):
    """The decoder. weights: of the whole model, encoder and decoder."""

    CHOICES: ClassVar[Mapping[str, Sequence[str]]] = {
        "attn": ("sa", "ca", "sca"),
        "fuse": ("native", "literal"),
        "strip": ("auto", "exact", "spline"),
        "projection": ("linear", "conv_norm"),
        "form": ("plain", "city"),
    }

    def check(self) -> None:
        check_range("decoder.drop_path", self.option("drop_path"), (0, 0.99))
        if not self.target.startswith("scaseg."):  # one of the user's own has values of its own
            return
        for key, allowed in self.CHOICES.items():
            if (value := self.option(key)) is not None:
                check_choice(f"decoder.{key}", value, allowed)

    @property
    def weights(self) -> str | None:
        return self.text("weights")


class DatasetPart(Part):
    """The dataset. train_split, val_split: names of its splits."""

    @property
    def train_split(self) -> str:
        return str(self.values["train_split"])

    @property
    def val_split(self) -> str:
        return str(self.values["val_split"])


@dataclass(kw_only=True)
class Parts:
    """The choices that make a model and its data."""

    backbone: Backbone
    decoder: Decoder
    dataset: DatasetPart
