"""From counts summed over images to the figures of a comparison; all in percent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaseg.compare.calibration import expected_calibration_error
from scaseg.evaluation.protocol import MeanOver
from scaseg.evaluation.regions import WORST, class_iou, mean_over_images, pixel_accuracy
from scaseg.statistics.crossed import Floats, Measure


@dataclass(frozen=True)
class Settings:
    """boundary: shares of the image's diagonal. trimap: pixels. sizes: areas in pixels that divide small, middle and
    large objects. bins: of confidence. mean_over: which classes the means are of.
    """

    boundary: Sequence[float]
    trimap: Sequence[int]
    sizes: Sequence[int]
    bins: int
    mean_over: MeanOver = MeanOver.truth


@dataclass(frozen=True)
class Named:
    """A measure with its name. needs: the counts that it is of."""

    name: str
    of: Measure
    needs: str = "region"
    more_is_better: bool = True


def measures(settings: Settings) -> list[Named]:
    """All scalar measures, the most asked for first."""

    def iou_of(name: str, at: int) -> Measure:
        return lambda sums: class_iou(sums[name][..., at, :, :], settings.mean_over)

    def mean_of(name: str) -> Measure:
        return lambda sums: mean_over_images(sums[name])

    bands = [f"boundary IoU, {100 * share:g} % of the diagonal" for share in settings.boundary]
    trimaps = [f"trimap IoU, {width} px" for width in settings.trimap]
    objects = [f"IoU, {name}" for name in _size_names(settings.sizes)]
    return [
        Named("mIoU", lambda sums: class_iou(sums["region"], settings.mean_over)),
        Named("mIoU of each image, mean", mean_of("image")),
        Named(f"the same, worst {WORST:.0%} of the images", mean_of("worst")),
        Named("pixel accuracy", lambda sums: pixel_accuracy(sums["region"])[..., None]),
        *(Named(name, iou_of("boundary", i), "boundary") for i, name in enumerate(bands)),
        *(Named(name, iou_of("trimap", i), "trimap") for i, name in enumerate(trimaps)),
        *(Named(name, iou_of("objects", i), "objects") for i, name in enumerate(objects)),
        Named("calibration error (ECE)", _calibration, "calibration", False),
    ]


def _calibration(sums: Mapping[str, Floats]) -> Floats:
    return expected_calibration_error(sums["calibration"])[..., None]


def class_measure(label: int, settings: Settings) -> Measure:
    """The IoU of one class."""

    def of(sums: Mapping[str, Floats]) -> Floats:
        return class_iou(sums["region"], settings.mean_over)[..., [label]]

    return of


def _size_names(sizes: Sequence[int]) -> list[str]:
    if len(sizes) == 2:
        return [
            f"small objects (below {sizes[0]} px)",
            f"middle objects (below {sizes[1]} px)",
            "large objects",
        ]
    edges = [f"from {size} px" for size in sizes]
    return [f"objects {edge}" for edge in (f"below {sizes[0]} px" if sizes else "of any size", *edges)]
