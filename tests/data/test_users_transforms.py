"""Transforms of albumentations around scale and crop: their order, what they make up, their draws, and bad ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest

from scaseg.config import compose, run_config
from scaseg.data.augment import PAD_COLOUR, Augment
from scaseg.data.camvid import CamVid
from scaseg.data.datasets import TrainSamples
from scaseg.data.labels import IGNORE
from scaseg.data.shapes import Shapes
from scaseg.data.transforms import training_pipeline
from scaseg.data.users_transforms import _names, users_transforms
from scaseg.errors import UserError
from scaseg.form import Form
from tests.training.tiny import camvid

Transform = dict[str, Any]
STILL = Augment(crop_size=[48, 64], scale=[1.0, 1.0], cat_max_ratio=1.0, flip=0.0, photometric=False)
NEEDED: dict[str, Transform] = {  # by transforms without defaults
    "CenterCrop": {"height": 40, "width": 90, "pad_if_needed": True},
    "Crop": {"x_min": 4, "y_min": 4, "x_max": 70, "y_max": 90, "pad_if_needed": True},
    "CropAndPad": {"px": 7, "keep_size": False},
    "CropNonEmptyMaskIfExists": {"height": 40, "width": 50},
    "GridElasticDeform": {"num_grid_xy": [4, 4], "magnitude": 5},
    "LongestMaxSize": {"max_size": 99},
    "PadIfNeeded": {"min_height": 99, "min_width": 99},
    "RandomCrop": {"height": 90, "width": 90, "pad_if_needed": True},
    "RandomResizedCrop": {"size": [40, 50]},
    "RandomSizedCrop": {"min_max_height": [30, 50], "size": [40, 50]},
    "Resize": {"height": 40, "width": 50},
    "SmallestMaxSize": {"max_size": 99},
    "OneOf": {"transforms": [{"_target_": "albumentations.Rotate"}, {"_target_": "albumentations.Perspective"}]},
    "OneOrOther": {
        "first": {"_target_": "albumentations.Rotate", "p": 1.0},
        "second": {"_target_": "albumentations.CLAHE", "p": 1.0},
    },
    "RandomOrder": {"transforms": [{"_target_": "albumentations.Pad", "p": 1.0, "padding": 9}], "n": 1},
    "Sequential": {"transforms": [{"_target_": "albumentations.Affine", "p": 1.0, "rotate": 30}]},
    "SomeOf": {"transforms": [{"_target_": "albumentations.ThinPlateSpline", "p": 1.0}], "n": 1},
}
MADE_UP = {  # of those, what looks past the border of an image, applied for certain
    *("CenterCrop", "Crop", "CropAndPad", "GridDistortion", "PadIfNeeded", "RandomCrop", "RandomOrder", "Rotate"),
    *("SafeRotate", "Sequential", "ShiftScaleRotate", "SomeOf", "ThinPlateSpline"),
}
OTHERS = {  # they need boxes, other images, a font; or make no uint8 image
    *("AtLeastOneBBoxRandomCrop", "BBoxSafeRandomCrop", "RandomCropNearBBox", "RandomSizedBBoxSafeCrop"),
    *("FDA", "HistogramMatching", "Mosaic", "OverlayElements", "PixelDistributionAdaptation", "TextImage"),
    *("FromFloat", "Normalize", "ToFloat", "ToTensorV2"),
}


def named(name: str) -> Transform:
    return {"_target_": f"albumentations.{name}", "p": 1.0, **NEEDED.get(name, {})}


def stripes(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture and a mask of two classes, 1 and 3."""
    image, mask = np.full((height, width, 3), 90, np.uint8), np.ones((height, width), np.uint8)
    image[:, : width // 2], mask[:, : width // 2] = 200, 3
    return image, mask


def _seeded(transform: Any, seed: int) -> Any:
    transform.set_random_seed(seed)
    return transform


def test_they_come_before_ours_on_the_image_and_after_ours_on_the_crop() -> None:
    image, mask = stripes(96, 96)
    image[0], mask[:, :20] = 7, 2
    cut = {"_target_": "albumentations.Crop", "x_min": 16, "y_min": 8, "x_max": 80, "y_max": 56}
    turn = {"_target_": "albumentations.HorizontalFlip", "p": 1.0}
    sample = training_pipeline(replace(STILL, before=[cut], transforms=[turn]))(image=image, mask=mask)
    assert np.array_equal(sample["image"], image[8:56, 16:80][:, ::-1])
    assert np.array_equal(sample["mask"], mask[8:56, 16:80][:, ::-1])
    small = {"_target_": "albumentations.LongestMaxSize", "max_size": 24, "interpolation": 0}
    sample = training_pipeline(replace(STILL, before=[small]))(image=image, mask=mask)
    assert (sample["mask"][:24, :24] != IGNORE).all() and (sample["mask"][24:] == IGNORE).all()
    noisy = training_pipeline(replace(STILL, transforms=[named("GaussNoise")]))
    first, again, other = (_seeded(noisy, seed)(image=image, mask=mask)["image"] for seed in (5, 5, 6))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.filterwarnings("ignore::UserWarning")  # ShiftScaleRotate's, of its age
def test_what_they_make_up_is_ignored_and_no_class_is() -> None:
    """Every one that albumentations has, on two classes: of the mask's pixels each has one of them, or is ignored."""
    image, mask = stripes(64, 80)
    made_up = set()
    names = set(_names())
    assert names > OTHERS | NEEDED.keys()
    for name in sorted(names - OTHERS):
        for seed in range(3):
            (transform,) = users_transforms("augment.before", [named(name)])
            sample = _seeded(A.Compose([transform]), seed)(image=image, mask=mask)
            assert sample["image"].dtype == sample["mask"].dtype == np.uint8, name
            assert set(np.unique(sample["mask"])) <= {1, 3, IGNORE}, name
            if (ignored := sample["mask"] == IGNORE).any() and name != "MaskDropout":
                made_up.add(name)
                deep = cv2.erode(np.pad(ignored, 1, constant_values=True).astype(np.uint8), np.ones((5, 5)))
                seen = sample["image"][deep[1:-1, 1:-1].astype(bool)].astype(int)
                if name == "CropAndPad":  # which draws one of the three values for all channels
                    seen = np.where(np.isin(seen, PAD_COLOUR), PAD_COLOUR, seen)
                assert (np.abs(seen - PAD_COLOUR) <= 1).all(), name
    assert made_up >= MADE_UP


def test_what_is_dropped_of_the_image_alone_and_what_is_asked_for_stay() -> None:
    image, mask = stripes(64, 80)
    (drop, turn) = users_transforms(
        "augment.before",
        [named("CoarseDropout"), {**named("Rotate"), "limit": [30, 30], "fill": 0, "fill_mask": 3}],
    )
    sample = _seeded(A.Compose([drop]), 0)(image=image, mask=mask)
    assert np.array_equal(sample["mask"], mask) and (sample["image"] == 0).any()
    sample = _seeded(A.Compose([turn]), 0)(image=image, mask=mask)
    assert set(np.unique(sample["mask"])) == {1, 3} and (sample["image"][0, -1] == 0).all()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("key", ["before", "transforms"])
def test_they_are_drawn_by_the_samples_counter(key: str) -> None:
    """Of every one: a sample is the same whatever came before it, as a resumed run wants it."""
    source = Shapes(size=[64, 80], length=3)
    for name in sorted(set(_names()) - OTHERS):
        given = [named(name), *([named("Resize") | {"height": 48, "width": 64}] if key == "transforms" else [])]
        augment = replace(STILL, scale=[0.5, 2.0], photometric=True, **{key: given})
        whole, resumed = TrainSamples(source, augment, 4), TrainSamples(source, augment, 4)
        for n in range(3):
            sample = whole[n]
        again = resumed[2]
        for part in ("image", "mask"):
            assert np.array_equal(sample[part].numpy(), again[part].numpy()), (name, part)  # type: ignore[literal-required]


def test_what_comes_first_sees_the_whole_picture(tmp_path: Path) -> None:
    """A JPEG that ours alone would take at half its size."""
    source = CamVid(camvid(tmp_path), "train")
    augment = replace(STILL, crop_size=[32, 32], scale=[0.4, 0.4], resize_box=None)
    cut = {"_target_": "albumentations.Crop", "x_min": 3, "y_min": 2, "x_max": 63, "y_max": 40}
    samples = TrainSamples(source, replace(augment, before=[cut]), 0)
    image, mask = source.read(samples.drawn(0)[1])
    sample = training_pipeline(augment)(image=image[2:40, 3:63], mask=mask[2:40, 3:63], factor=0.4)
    assert np.array_equal(samples[0]["image"].numpy(), sample["image"])
    assert np.array_equal(samples[0]["mask"].numpy(), sample["mask"])
    samples = TrainSamples(source, augment, 0)
    assert samples[0]["image"].shape == (32, 32, 3)


@pytest.mark.parametrize("channels", [1, 4, 7])
def test_pictures_of_any_channels_are_taken(channels: int) -> None:
    """What is made up has each channel's mean, or 0 where there are more than OpenCV fills."""
    form = Form(channels, "float32", mean=tuple(float(10 * i + 5) for i in range(channels)), std=(1.0,) * channels)
    image, mask = np.full((64, 80, channels), 99.5, np.float32), np.ones((64, 80), np.uint8)
    turn = {**named("Rotate"), "limit": [40, 40]}
    sample = training_pipeline(replace(STILL, before=[turn], transforms=[turn]), form)(image=image, mask=mask)
    assert sample["image"].shape == (48, 64, channels) and set(np.unique(sample["mask"])) == {1, IGNORE}
    assert np.array_equal(sample["image"][0, -1], form.mean if channels < 5 else np.zeros(channels))


def test_a_run_without_any_has_the_name_that_it_had() -> None:
    without, with_one = (
        run_config(compose("train", overrides))
        for overrides in (["augment.before=[]"], ["augment.before=[{_target_: albumentations.CLAHE}]"])
    )
    assert without.name == run_config(compose("train")).name != with_one.name
    assert "before" not in without.identity()["augment"]


@pytest.mark.parametrize("key", ["before", "transforms"])
@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            {"_target_": "albumentations.CLAHEE"},
            r"CLAHEE: no such class; albumentations 2.* has .*CLAHE, .*Rotate",
        ),
        ({"_target_": "albumentations.Compose"}, "is not a transform"),
        ({"_target_": "albumentations.core.composition.Nothing"}, "no such class"),
        ({"_target_": "albumentations.TimeMasking"}, "is not a transform of images and their masks"),
        ({"_target_": "albumentations.Pad3D", "padding": 3}, "is not a transform of images and their masks"),
        ({"p": 1.0}, "is not the name of a class, such as albumentations"),
        ({"_target_": "os.system"}, "no class of this package's"),
        (
            {"_target_": "albumentations.Blur", "width": 3},
            r"Blur has no option width; it has blur_limit, p$",
        ),
        (
            {"_target_": "albumentations.OneOf", "transforms": [{"_target_": "albumentations.Blur", "width": 3}]},
            "albumentations.Blur has no option width",
        ),
        ({"_target_": "albumentations.CenterCrop"}, r"CenterCrop\): height: Field required; width: Field required$"),
        ({"_target_": "albumentations.OneOf"}, "missing 1 required positional argument: 'transforms'"),
    ],
)
def test_transforms_that_cannot_be(key: str, transform: Transform, message: str) -> None:
    with pytest.raises(UserError, match=rf"^augment\.{key}.*{message}"):
        training_pipeline(replace(STILL, **{key: [transform]}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ({"_target_": "albumentations.RandomCrop", "height": 32, "width": 32}, r"of a crop's image \(48, 64, 3\)"),
        (
            {"_target_": "albumentations.RandomCrop", "height": 99, "width": 9},
            r"not take 3 channels of uint8, 48 x 64 \(CropSizeError: .*99",
        ),
        ({"_target_": "albumentations.ToFloat", "p": 0.01}, "float32; sizes and types must stay"),
    ],
)
def test_transforms_of_the_crop_that_cannot_be(transform: Transform, message: str) -> None:
    with pytest.raises(UserError, match=message):
        training_pipeline(replace(STILL, transforms=[transform]))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            {"_target_": "albumentations.RandomCrop", "height": 99, "width": 9},
            r"of \w+ \(80x64\): CropSizeError: .*99",
        ),
        ({"_target_": "albumentations.ToFloat", "p": 1.0}, r"of \w+ \(80x64\): the image becomes .* float32, must be"),
        ({"_target_": "albumentations.FDA", "p": 1.0}, "FDA requires"),
    ],
)
def test_an_image_that_they_cannot_take_is_named(transform: Transform, message: str) -> None:
    samples = TrainSamples(Shapes(size=[64, 80], length=3), replace(STILL, before=[transform]), 0)
    with pytest.raises(UserError, match=message):
        samples[0]
