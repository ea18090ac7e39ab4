"""What a comparison is of, whether models were asked or runs had counted: the protocol between both and the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaseg.compare.collect import Shown, Statistics
from scaseg.data.labels import LabelTable
from scaseg.schema import Run
from scaseg.typed import Json


@dataclass(frozen=True)
class Compared:
    """config: of the first model. names: of the images. models: by letter, as JSON has them; found: the statistics of
    each's runs. shown: images on which they differ, and the classes' colours to draw them in.
    """

    config: Run
    split: str
    names: Sequence[str]
    classes: Sequence[str]
    models: Mapping[str, Json]
    found: Mapping[str, Sequence[Statistics]]
    shown: Sequence[Shown] = ()
    labels: LabelTable | None = None
