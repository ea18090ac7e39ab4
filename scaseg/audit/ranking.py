"""Masks in the order of how suspicious they are: a contradiction counts by its size and by how rare it is.

A model contradicts right masks too, again and again in the same way: where it has not learned a class, or sees one
domain for another. So a region is set against the other images that the same model judged, n in all with its own: with
k of them in which the largest region of the same two classes weighs at least LIKE times as much, it is surprising by
-log((1 + k) / n); and likewise among those in which the mask's class is contradicted, by whatever class. A region's
suspicion is weight ** SIZE * (the two together) ** RARITY; an image's is the root of the sum of their squares. How the
constants were chosen, and what they gave on data that they were not chosen on: experiments/audit.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scaseg.audit.findings import Finding
from scaseg.audit.regions import Region

LIKE, SIZE, RARITY = 0.4, 0.25, 3
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Suspect:
    """An image with its suspicion, and its regions with theirs, the most suspicious first."""

    finding: Finding
    suspicion: float
    regions: list[tuple[float, Region]]


def ranked(findings: Sequence[Finding]) -> list[Suspect]:
    """The most suspicious first; those without a region, at 0, by their softmin."""
    found = [suspect for fold in sorted({one.fold for one in findings}) for suspect in _of_fold(findings, fold)]
    return sorted(found, key=lambda one: (-one.suspicion, one.finding.softmin, one.finding.name))


def _of_fold(findings: Sequence[Finding], fold: int) -> list[Suspect]:
    own = [one for one in findings if one.fold == fold]
    of_two, of_given = _heaviest(own, lambda one: (one.given, one.seen)), _heaviest(own, lambda one: one.given)
    suspects = []
    for place, finding in enumerate(own):
        scored = []
        for region in finding.regions:
            rarity = _surprise(of_two[region.given, region.seen], place, region.weight)
            rarity += _surprise(of_given[region.given], place, region.weight)
            scored.append((float(region.weight**SIZE * rarity**RARITY), region))
        scored.sort(key=lambda one: -one[0])
        suspects.append(Suspect(finding, float(np.sqrt(sum(score**2 for score, _ in scored))), scored))
    return suspects


def _heaviest(findings: Sequence[Finding], kind: Callable[[Region], Hashable]) -> dict[Hashable, Floats]:
    """Of each kind of region the weight of the heaviest in each image, 0 where there is none."""
    found: dict[Hashable, Floats] = defaultdict(lambda: np.zeros(len(findings)))
    for place, finding in enumerate(findings):
        for region in finding.regions:
            found[kind(region)][place] = max(found[kind(region)][place], region.weight)
    return found


def _surprise(heaviest: Floats, place: int, weight: float) -> float:
    like = heaviest >= LIKE * weight
    return float(-np.log((1 + like.sum() - like[place]) / len(heaviest)))
