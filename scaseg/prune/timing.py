"""By the time that a model takes: the multiply-adds at which it is what was asked for, found by halving."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from scaseg.complexity.latency import Ratio, interleaved
from scaseg.data.sizes import Size
from scaseg.models.segmentor import Segmentor
from scaseg.prune.plan import Plan
from scaseg.prune.smaller import Kept, smaller_run, smaller_tensors
from scaseg.trained.model import TrainedModel, build_trained

NEAR = 0.01  # a share of the time so little below the target is not improved on
HALVINGS = 7

Measure = Callable[[Sequence[Kept]], Ratio]


def by_time(plan: Plan, target: float, measure: Measure) -> tuple[list[Kept], Ratio]:
    """The widest that takes at most this share of the time, and its ratio; the least there is where none does.

    plan: of multiply-adds, to whose share the time is taken to rise.
    """
    best = plan.kept(0)
    ratio = measure(best)
    tried = [best]
    low, high = plan.share(best), 1.0
    for _ in range(HALVINGS):
        if target - ratio.ratio.median <= NEAR:  # or above it, which is the least there is
            break
        middle = (low + high) / 2
        kept = plan.kept(middle)
        if kept in tried:
            low, high = (middle, high) if kept == best else (low, middle)
            continue
        tried.append(kept)
        found = measure(kept)
        if found.ratio.median <= target:
            low, best, ratio = middle, kept, found
        else:
            high = middle
    return best, ratio


def measured(model: TrainedModel, scores: Sequence[Tensor], size: Size, rounds: int) -> Measure:
    """Time to the logits of one image of `size`, pruned to trained, in rounds of both, where the model is."""
    image = torch.rand(1, model.segmentor.in_channels, *size, device=model.device).mul_(255)
    tensors = model.segmentor.state_dict()

    def measure(kept: Sequence[Kept]) -> Ratio:
        found = smaller_tensors({name: tensor.cpu() for name, tensor in tensors.items()}, kept, scores)
        smaller = build_trained(smaller_run(model.config, kept), model.classes, found, model.path or Path())
        smaller = smaller.to(model.device)
        return interleaved(_call(smaller, image), _call(model.segmentor, image), model.device, rounds=rounds)

    return measure


def _call(segmentor: Segmentor, image: Tensor) -> Callable[[], object]:
    @torch.inference_mode()
    def forward() -> object:
        return segmentor(image)

    return forward
