"""The choices of classes that make a model and its data, with what is known here of their arguments."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar

from scaseg.errors import UserError
from scaseg.form import Form, form_of
from scaseg.typed import Part, check_choice, check_number, check_range

MOST_WEIGHT = 1e30  # of a class: float32 sums of more are infinite


class Backbone(Part):
    """The encoder. weights: of it alone, a file, an address or a run; mean, std: the normalisation that they expect.

    freeze: what of it does not learn: `all`, `norm` (its BatchNorms), or stages, such as [1, 2].
    """

    def check(self) -> None:
        check_range("backbone.drop_path", self.option("drop_path"), (0, 0.99))
        stages = self.freeze if isinstance(self.freeze, list) else []
        known = self.freeze in (None, "all", "norm") or (stages and all(stage in (1, 2, 3, 4) for stage in stages))
        if not known:
            raise UserError(f"backbone.freeze={self.option('freeze')}: all, norm, or stages from 1 to 4 such as [1,2]")

    @property
    def freeze(self) -> str | list[int] | None:
        value = self.option("freeze")
        return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value

    @property
    def weights(self) -> str | None:
        return self.text("weights")

    @property
    def pretrained(self) -> bool:
        """Whether the library that the encoder is of downloads its weights."""
        return bool(self.option("pretrained"))


class Decoder(Part):
    """The decoder."""

    CHOICES: ClassVar[Mapping[str, Sequence[str]]] = {
        "attn": ("sa", "ca", "sca"),
        "fuse": ("native", "literal"),
        "strip": ("auto", "exact", "spline"),
        "projection": ("linear", "conv_norm"),
        "form": ("plain", "city"),
        "classifier": ("conv", "offset"),
    }

    def check(self) -> None:
        check_range("decoder.drop_path", self.option("drop_path"), (0, 0.99))
        if not self.target.startswith("scaseg."):  # one of the user's own has values of its own
            return
        for key, allowed in self.CHOICES.items():
            if (value := self.option(key)) is not None:
                check_choice(f"decoder.{key}", value, allowed)


class DatasetPart(Part):
    """The dataset. train_split, val_split: names of its splits. form: of its pictures, see scaseg.form.

    groups: a regular expression; images in whose names it finds the same depend on each other, as frames of one video
    do. It changes what intervals say and nothing that is learned.
    """

    def check(self) -> None:
        try:
            re.compile(self.groups or "")
        except re.error as error:
            raise UserError(f"dataset.groups={self.groups}: no regular expression ({error})") from error
        form_of(self.values)

    @property
    def form(self) -> Form:
        return form_of(self.values)

    @property
    def groups(self) -> str | None:
        return self.text("groups")

    @property
    def train_split(self) -> str:
        return str(self.values["train_split"])

    @property
    def val_split(self) -> str:
        return str(self.values["val_split"])


class LossTerm(Part):
    """A term of the loss. weight: among the terms; class_weights: one a class, or `auto`, where it has such."""

    RANGES: ClassVar[Mapping[str, Mapping[str, tuple[float, float]]]] = {
        "scaseg.losses.cross_entropy.CrossEntropy": {"label_smoothing": (0, 1)},
        "scaseg.losses.focal.Focal": {"gamma": (0, 100)},
        "scaseg.losses.tversky.Tversky": {"alpha": (0, 1), "beta": (0, 1), "gamma": (0.1, 10), "smooth": (1e-6, inf)},
    }
    CHOICES: ClassVar[Mapping[str, Mapping[str, Sequence[str]]]] = {
        "scaseg.losses.lovasz.Lovasz": {"classes": ("present", "all")},
        "scaseg.losses.dice.Dice": {"classes": ("all", "foreground")},
    }

    def check(self) -> None:
        of_all = {"weight": (0, inf), "ohem_threshold": (0, 1), "ohem_min_kept": (1, inf)}
        for key, limits in {**of_all, **self.RANGES.get(self.target, {})}.items():
            if key in self.values:
                check_number(f"loss.{self.name}.{key}", self.option(key), limits)
        if (average := self.option("average")) is not None:
            check_choice(f"loss.{self.name}.average", average, ("labelled", "all"))
        for key, choices in self.CHOICES.get(self.target, {}).items():
            if key in self.values:
                check_choice(f"loss.{self.name}.{key}", self.option(key), choices)
        self._check_class_weights()

    def _check_class_weights(self) -> None:
        weights = self.option("class_weights")
        if weights is None or self.auto:
            return
        if not isinstance(weights, Sequence) or isinstance(weights, str):
            raise UserError(f"loss.{self.name}.class_weights={weights}: a list of numbers, one a class, or auto")
        right = all(isinstance(one, int | float) and 0 <= one < MOST_WEIGHT for one in weights)
        if not right or not any(weights):
            raise UserError(
                f"loss.{self.name}.class_weights={list(weights)}: one number a class, at least 0, below {MOST_WEIGHT:g}"
                " and not all 0; 0 leaves a class out"
            )

    @property
    def weight(self) -> float:
        return float(self.values.get("weight", 1.0))

    @property
    def auto(self) -> bool:
        """Whether the classes' weights follow from the training split's pixels."""
        return bool(self.option("class_weights") == "auto")

    @property
    def class_weights(self) -> list[float] | None:
        """As they are given; None where they are not, or `auto`."""
        weights = self.option("class_weights")
        return None if weights is None or self.auto else [float(one) for one in weights]


class DistillationPart(Part):
    """A term of what a teacher costs. weight: among the terms and the loss of the masks."""

    def check(self) -> None:
        for key, limits in {"weight": (0, inf), "temperature": (1e-3, 1e3)}.items():
            if key in self.values:
                check_number(f"distillation.{self.name}.{key}", self.option(key), limits)

    @property
    def weight(self) -> float:
        return float(self.values.get("weight", 1.0))


class Optimizer(Part):
    """The optimizer; rates and weight decay are those of `training`."""

    def check(self) -> None:
        if (momentum := self.option("momentum")) is not None:
            check_number(f"optimizer.{self.name}.momentum", momentum, (0, 1))
        betas = self.option("betas")
        if betas is None:
            return
        numbers = isinstance(betas, Sequence) and all(isinstance(beta, int | float) for beta in betas)
        if not numbers or len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise UserError(f"optimizer.{self.name}.betas={betas}: two numbers, each from 0 to below 1")


class Schedule(Part):
    """Of the learning rates, after the warm-up."""

    def check(self) -> None:
        for key, limits in {"power": (0, inf), "floor": (0, 1), "cooldown": (0, 1)}.items():
            if (value := self.option(key)) is not None:
                check_number(f"schedule.{self.name}.{key}", value, limits)


class Logger(Part):
    """Where metrics go besides metrics.csv."""

    def check(self) -> None:
        if (mode := self.option("mode")) is not None and self.target.startswith("scaseg."):
            check_choice(f"logger.{self.name}.mode", mode, ("auto", "online", "offline"))


class CallbackPart(Part):
    """A callback of Lightning's, or of the user's own."""


@dataclass(kw_only=True)
class Parts:
    """The choices of classes of a run. Those of which there may be several, or that are told apart, by name."""

    backbone: Backbone
    decoder: Decoder
    dataset: DatasetPart
    loss: dict[str, LossTerm]  # its terms, in order
    optimizer: dict[str, Optimizer]  # one
    schedule: dict[str, Schedule]  # one
    distillation: dict[str, DistillationPart] = field(default_factory=dict)  # its terms; none without a teacher
    logger: dict[str, Logger] = field(default_factory=dict)
    callbacks: dict[str, CallbackPart] = field(default_factory=dict)
