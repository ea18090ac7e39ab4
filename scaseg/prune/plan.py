"""How wide each width of a model is to be for so much of what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from scaseg.complexity import summary
from scaseg.data.sizes import Size
from scaseg.prune.budget import Choice, choose
from scaseg.prune.smaller import Kept, smaller_run
from scaseg.prune.widths import Width, losses
from scaseg.schema import Run
from scaseg.trained.model import for_use

Place = tuple[int, ...]
ROUNDING = 1e-9  # of sums


@dataclass(frozen=True)
class Cost:
    """What a configuration costs. by: `params`, or `macs` for one image of `size`."""

    by: str
    classes: int
    size: Size

    def __call__(self, run: Run) -> int:
        form = run.dataset.form
        parts = for_use(run.backbone), for_use(run.decoder)
        if self.by == "params":
            return summary.parameters(*parts, self.classes, form.channels).total
        return summary.counts(*parts, self.classes, self.size, form.channels).macs


@dataclass(frozen=True)
class Plan:
    """scores: of each width, as scaseg.prune.worth has them. blocks: what the encoder's blocks are worth, a list a
    stage; None where none may go. step: what widths become multiples of.

    Widths meet in no operation, so that what they cost is a sum, in which each channel of a width costs alike.
    """

    run: Run
    widths: Sequence[Width]
    scores: Sequence[Tensor]
    cost: Cost
    step: int
    blocks: Sequence[Sequence[float]] | None = None

    def kept(self, share: float) -> list[Kept]:
        """What is least loss for at most this share of the cost; the least that there is where that is too little."""
        rest = self.whole - sum(of_width[0].cost for of_width in self._choices)
        chosen = choose(self._choices, share * self.whole - rest - ROUNDING * self.whole)
        return [Kept(width, choice.channels) for width, choice in zip(self.widths, chosen, strict=True)]

    def share(self, kept: Sequence[Kept]) -> float:
        return self.cost(smaller_run(self.run, kept)) / self.whole

    def loss(self, kept: Sequence[Kept]) -> list[float]:
        """Of each width."""
        ways = zip(kept, self._choices, strict=True)
        return [next(choice.loss for choice in way if choice.channels == one.channels) for one, way in ways]

    @cached_property
    def whole(self) -> int:
        return self.cost(self.run)

    @cached_property
    def _choices(self) -> list[list[Choice]]:
        """Of each width, all channels first; its block's own cost is in all but the choice to do without it."""
        return [self._of_width(width, score) for width, score in zip(self.widths, self.scores, strict=True)]

    def _of_width(self, width: Width, score: Tensor) -> list[Choice]:
        lost = losses(score)
        each = self._of_channel[width.key, width.place[:1], width.part]
        fewer = range((width.channels - 1) // self.step * self.step, 0, -self.step)
        removable = self._removable(width)
        own = self._of_block[width.place[0]] if removable is not None else 0.0
        found = [Choice(n, own + n * each, lost[n]) for n in (width.channels, *fewer)]
        return found if removable is None else [*found, Choice(0, 0.0, removable)]

    def _removable(self, width: Width) -> float | None:
        """What is lost with its block; None where there is none that may go. One of a stage stays."""
        if self.blocks is None or width.part != "backbone":
            return None
        stage, number = width.place
        of_stage = self.blocks[stage]
        best = max(range(len(of_stage)), key=lambda other: of_stage[other])
        return None if number == best else of_stage[number]

    @cached_property
    def _of_channel(self) -> dict[tuple[str, Place, str], float]:
        """Cost of one channel of the widths of each option and stage, whose blocks are alike."""
        found = {}
        for key, place, part in dict.fromkeys((one.key, one.place[:1], one.part) for one in self.widths):
            group = [one for one in self.widths if (one.key, one.place[:1], one.part) == (key, place, part)]
            fewer = [Kept(one, one.channels - (one in group and one.channels > 1)) for one in self.widths]
            gone = sum(one.width.channels - one.channels for one in fewer)
            found[key, place, part] = (self.whole - self.cost(smaller_run(self.run, fewer))) / max(1, gone)
        return found

    @cached_property
    def _of_block(self) -> dict[int, float]:
        """Cost of a block of each stage that has several, without its mix-FFN's channels."""
        found = {}
        for stage, of_stage in enumerate(self.blocks or []):
            if len(of_stage) > 1:
                last = next(one for one in self.widths if one.part == "backbone" and one.place[:1] == (stage,))
                without = [Kept(one, 0 if one is last else one.channels) for one in self.widths]
                cost = self.whole - self.cost(smaller_run(self.run, without))
                found[stage] = cost - last.channels * self._of_channel[last.key, (stage,), last.part]
        return found

    def by(self, measure: str) -> "Plan":
        """The same by another cost."""
        return replace(self, cost=replace(self.cost, by=measure))
