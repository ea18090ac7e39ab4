"""One pass over a split: every model's counts of every image, and the images on which the models differ most."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from scaseg.compare.calibration import calibration_counts
from scaseg.compare.contenders import Contender, predicted
from scaseg.compare.measures import Settings
from scaseg.data.datasets import EvalItem, EvalSamples
from scaseg.data.draw import as_shown
from scaseg.data.labels import Mask
from scaseg.data.source import Source
from scaseg.evaluation.boundaries import (
    boundary_counts,
    boundary_width,
    object_counts,
    trimap_counts,
)
from scaseg.evaluation.regions import mean_iou, region_counts
from scaseg.progress import ProgressLine
from scaseg.trained.model import TrainedModel

Statistics = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, order=True)
class Shown:
    """An image that the models see differently; predictions are each contender's first run's."""

    difference: float  # largest between two contenders' mIoU of this image, percent
    number: int
    name: str = field(compare=False)
    image: npt.NDArray[np.uint8] = field(compare=False)
    truth: Mask = field(compare=False)
    predictions: tuple[Mask, ...] = field(compare=False)
    scores: tuple[float, ...] = field(compare=False)


def collect(
    contenders: Sequence[Contender], source: Source, settings: Settings, pictures: int, wanted: Sequence[str] = ()
) -> tuple[dict[str, list[Statistics]], list[Shown]]:
    """letter -> the statistics of each of its runs, (images, ...) arrays; and the images to show, most different first.

    wanted: names of images to show, in place of those that differ most.
    """
    runs = [run for contender in contenders for run in contender.runs]
    rows: list[list[Statistics]] = [[] for _ in runs]
    shown: list[Shown] = []
    protocols: dict[str, EvalSamples] = {}
    for run in runs:
        protocols.setdefault(repr(run.protocol), EvalSamples(source, run.protocol))
    with ProgressLine(len(source), "images") as progress:
        for i in range(len(source)):
            samples = {key: samples[i] for key, samples in protocols.items()}
            seen = []
            for run, row in zip(runs, rows, strict=True):
                prediction, statistics = _seen(run, samples[repr(run.protocol)], settings)
                row.append(statistics)
                seen.append(prediction)
            shown = _kept(shown, i, source, contenders, seen, [row[-1] for row in rows], pictures, wanted)
            progress.advance()
    stacked = iter([{name: np.stack([s[name] for s in row]) for name in row[0]} for row in rows])
    found = {contender.letter: [next(stacked) for _ in contender.runs] for contender in contenders}
    return found, sorted(shown, reverse=True)


def _seen(run: TrainedModel, sample: EvalItem, settings: Settings) -> tuple[Mask, Statistics]:
    truth: Mask = sample["mask"].numpy()
    labels, confidence = predicted(run, sample)
    prediction: Mask = labels.cpu().numpy().astype(np.uint8)
    classes = len(run.classes)
    widths = [boundary_width(truth.shape, share) for share in settings.boundary]
    return prediction, {
        "region": region_counts(prediction, truth, classes),
        "boundary": boundary_counts(prediction, truth, classes, widths),
        "trimap": trimap_counts(prediction, truth, classes, settings.trimap),
        "objects": object_counts(prediction, truth, classes, settings.sizes),
        "calibration": calibration_counts(confidence.cpu().numpy(), prediction, truth, settings.bins),
    }


def _kept(
    shown: list[Shown],
    number: int,
    source: Source,
    contenders: Sequence[Contender],
    predicted: Sequence[Mask],
    statistics: Sequence[Statistics],
    pictures: int,
    wanted: Sequence[str],
) -> list[Shown]:
    """The images to show so far: at most `pictures`, or the wanted ones."""
    name = source.name(number)
    if (wanted and name not in wanted) or (not wanted and pictures < 1):
        return shown
    starts = np.cumsum([0, *(len(contender.runs) for contender in contenders)])[:-1]
    scores = [float(mean_iou(statistics[start]["region"].astype(np.float64))) for start in starts]
    difference = float(np.nanmax(scores) - np.nanmin(scores)) if not np.isnan(scores).all() else 0.0
    if not wanted and len(shown) >= pictures and difference <= shown[0].difference:
        return shown
    image, truth = source.read(number)
    picture = as_shown(image, contenders[0].runs[0].form)
    item = Shown(difference, number, name, picture, truth, tuple(predicted[start] for start in starts), tuple(scores))
    heapq.heappush(shown, item)
    if not wanted and len(shown) > pictures:
        heapq.heappop(shown)
    return shown
