"""Counts of models that are trained and images that are photographed as often as one likes.

Eight classes, of which the last two are rare; an image is hard or easy for all models, for a group of images and for
itself; a seed is good or bad, as a whole and at each class; and each seed has its own luck with each image.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from scaseg.evaluation.regions import class_iou
from scaseg.statistics.crossed import Floats, Statistics

CLASSES = 8
SKILL = np.linspace(1.2, -0.3, CLASSES)  # of each class, as a logit
SEED, GROUP, IMAGE, LUCK = 0.08, 0.6, 0.3, 0.3  # standard deviations, as logits


def measure(sums: dict[str, Floats]) -> Floats:
    """mIoU's parts."""
    return class_iou(sums["region"])


@dataclass(frozen=True)
class World:
    """size: images of a group. rare: whether the last two classes are. seed: deviation of seeds, as a logit."""

    size: int
    rare: bool
    seed: float = SEED

    def models(
        self, generator: np.random.Generator, models: int, seeds: int, images: int, ahead: float = 0
    ) -> tuple[list[list[Statistics]], npt.NDArray[np.int64]]:
        """Models' counts of the same images, (model, seed) -> statistics; and the images' groups.

        ahead: by how much, as a logit, the first is better than the others, which are equally good.
        """
        groups = np.repeat(np.arange(images // self.size), self.size)
        count = groups[-1] + 1
        presence = np.full(CLASSES, 0.8)
        if self.rare:
            presence[-2:] = 0.15, 0.06
        there = (generator.random((count, CLASSES)) < presence)[groups] & (generator.random((images, CLASSES)) < 0.9)
        truth = 1000 * np.exp(generator.normal(0, 0.6, (images, CLASSES))) * there
        hardness = generator.normal(0, GROUP, (count, CLASSES))[groups]
        hardness = hardness + generator.normal(0, IMAGE, (images, CLASSES))
        found: list[list[Statistics]] = []
        for model in range(models):
            taste = generator.normal(0, LUCK / 2, (images, CLASSES))  # the architecture's own, seeds aside
            runs: list[Statistics] = []
            for _ in range(seeds):
                luck = generator.normal(0, self.seed) + generator.normal(0, self.seed, CLASSES)
                luck = luck + generator.normal(0, LUCK, (images, CLASSES))
                share = 1 / (1 + np.exp(-(SKILL + ahead * (model == 0) + hardness + taste + luck)))
                wrong = 0.4 * truth * (1 - share) + 9 * np.exp(generator.normal(0, 1, (images, CLASSES)))
                runs.append({"region": np.stack([truth * share, truth * share + wrong, truth], 1)})
            found.append(runs)
        return found, groups

    @property
    def truth(self) -> Floats:
        """IoU of each class over all images and seeds there could be."""
        return _truth(self)


@cache
def _truth(world: World) -> Floats:
    generator = np.random.default_rng(999)
    found = []
    for _ in range(40):
        ((run, *others),), _ = world.models(generator, 1, 5, 2000)
        found += [class_iou(one["region"].sum(0)) for one in (run, *others)]
    mean: Floats = np.mean(found, 0)
    return mean


@dataclass
class Covered:
    """Of so many sets: in which the interval was given, in which of these it held the truth."""

    sets: int = 0
    given: int = 0
    held: int = 0

    @property
    def share(self) -> float:
        """Of the intervals that hold the truth."""
        return self.held / self.given
