"""The shortcuts of the training pipeline against the plain way: resize the whole picture, then crop."""

import random

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scaseg.data.augment import PAD_COLOUR, Augment
from scaseg.data.labels import IGNORE
from scaseg.data.transforms import (
    ScaledCrop,
    View,
    box_ratio,
    largest_share,
    lead,
    training_pipeline,
)

sides = st.integers(33, 150)
ratios = st.floats(0.3, 3.0).filter(lambda r: abs(r - 1) > 0.02 or r == 1)


def smooth(height, width, seed=0):
    """A picture with detail at several scales."""
    rng = np.random.default_rng(seed)
    fine = rng.integers(0, 256, (height, width, 3), np.uint8)
    coarse = cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), (width, height))
    return cv2.addWeighted(cv2.GaussianBlur(fine, (3, 3), 1), 0.5, coarse, 0.5, 0)


def blobs(height, width, classes=5, seed=0):
    coarse = np.random.default_rng(seed).integers(0, classes, (7, 7), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)


def bilinear(image, ratio, y, x):
    """The resized picture at (fractional) resized coordinates, in float64; source pixel centres at + 0.5."""
    height, width = image.shape[:2]
    y = np.clip((y + 0.5) / ratio - 0.5, 0, height - 1)
    x = np.clip((x + 0.5) / ratio - 0.5, 0, width - 1)
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    y1, x1 = np.minimum(y0 + 1, height - 1), np.minimum(x0 + 1, width - 1)
    dy, dx = (y - y0)[:, None, None], (x - x0)[None, :, None]
    image = image.astype(np.float64)
    upper = image[y0][:, x0] * (1 - dx) + image[y0][:, x1] * dx
    lower = image[y1][:, x0] * (1 - dx) + image[y1][:, x1] * dx
    return upper * (1 - dy) + lower * dy


@settings(max_examples=60, deadline=None)
@given(sides, sides, ratios, st.integers(0, 2**32))
def test_a_resampled_part_is_the_part_of_the_resampled_whole(height, width, ratio, seed):
    image, mask = smooth(height, width, seed), blobs(height, width, seed=seed)
    crop = ScaledCrop((48, 56))
    crop.set_random_seed(seed)
    view = crop.draw_view((height, width), ratio)
    part = view.resample(view.cut(image))
    y = view.top * ratio + lead(ratio, view.top) + np.arange(view.height)
    x = view.left * ratio + lead(ratio, view.left) + np.arange(view.width)
    assert part.shape == (view.height, view.width, 3)
    assert np.abs(part - bilinear(image, ratio, y, x)).max() < 1.5
    rows, columns = (np.minimum(np.floor((p + 0.5) / ratio).astype(int), n - 1) for p, n in ((y, height), (x, width)))
    clear = [np.abs(p - np.round(p)) > 1e-6 for p in ((y + 0.5) / ratio, (x + 0.5) / ratio)]  # no ties
    same = view.resample_mask(view.cut(mask)) == mask[rows][:, columns]
    assert same[clear[0]][:, clear[1]].all()


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.6, 2.0])
def test_equals_cv2_on_the_whole_picture_to_the_bit(ratio):
    """Where a crop starts on a pixel of the resized picture, cv2.resize of the whole gives the reference."""
    image, mask = smooth(120, 160), blobs(120, 160)
    size = int(160 * ratio), int(120 * ratio)
    whole = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    whole_mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    for top, left in ((0, 0), (10, 20), (50, 60)):
        view = View(ratio, top, left, 30, 40)
        y, x = (int(start * ratio) + lead(ratio, start) for start in (top, left))
        assert (view.resample(view.cut(image)) == whole[y : y + 30, x : x + 40]).all()
        assert (view.resample_mask(view.cut(mask)) == whole_mask[y : y + 30, x : x + 40]).all()


@settings(max_examples=60, deadline=None)
@given(sides, sides, ratios, st.integers(0, 2**32))
def test_view_lies_inside_the_picture_and_fills_the_crop(height, width, ratio, seed):
    crop = ScaledCrop((64, 80))
    crop.set_random_seed(seed)
    view = crop.draw_view((height, width), ratio)
    for start, length, side, whole in zip(view[1:3], view[3:], (64, 80), (height, width), strict=True):
        resized = round(whole * ratio)
        assert length == min(side, resized)
        assert start >= 0
        assert start + (lead(ratio, start) + length) / ratio <= whole + 0.5 / ratio + 1e-9
        assert start == 0 or resized > side


def test_crops_reach_everywhere():
    crop = ScaledCrop((50, 50))
    crop.set_random_seed(0)
    tops = [crop.draw_view((100, 100), 2.0).top for _ in range(3000)]
    counts = np.bincount(tops)
    assert len(counts) == 75  # 0..74: the last leaves 26 source pixels, for 50 resized ones and their lead
    assert counts.min() > 0.3 * counts.mean()


@settings(max_examples=30, deadline=None)
@given(st.integers(60, 200), st.integers(60, 200), st.sampled_from([2, 4, 8]), st.integers(0, 2**32))
def test_an_image_decoded_at_a_fraction_gives_nearly_the_same_crop(height, width, reduce, seed):
    """Compared with the same crop of the whole picture where both are smooth."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([y, x, (x + y) / 2], -1)
    padded = np.pad(image, ((0, -height % reduce), (0, -width % reduce), (0, 0)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // reduce, reduce, -1, reduce, 3).mean((1, 3))
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 1
    ratio = 0.9 / reduce
    results = [
        _seeded(ScaledCrop((6, 6), cat_max_ratio=1.0, flip=0.5), seed)(
            image=np.round(img).astype(np.uint8), mask=mask, factor=ratio
        )
        for img in (image, blocks)
    ]
    assert (results[0]["mask"] == results[1]["mask"]).mean() > 0.6  # starts differ by less than a resized pixel
    difference = np.abs(results[0]["image"].astype(int) - results[1]["image"])
    assert difference.max() <= 1.5 * reduce


def test_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match="does not belong"):
        _seeded(ScaledCrop((32, 32)), 0)(image=smooth(50, 50), mask=blobs(60, 60))


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_small_pictures_are_padded(flip):
    pipeline = training_pipeline(
        Augment(crop_size=[64, 96], scale=[1.0, 1.0], flip=flip, photometric=True, cat_max_ratio=1.0)
    )
    image, mask = smooth(40, 50), blobs(40, 50)
    sample = pipeline(image=image, mask=mask)
    assert sample["image"].shape == (64, 96, 3)
    assert (sample["image"][40:] == PAD_COLOUR).all()
    assert (sample["image"][:, 50:] == PAD_COLOUR).all()
    assert (sample["mask"][40:] == IGNORE).all()
    assert (sample["mask"][:, 50:] == IGNORE).all()
    assert (sample["mask"][:40, :50] == (mask[:, ::-1] if flip else mask)).all()


def test_padding_is_zero_once_normalised():
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    assert np.abs((PAD_COLOUR - mean) / std).max() < 0.01


def test_image_and_mask_stay_together():
    """An image painted with its mask, through everything but the colours."""
    mask = blobs(97, 131)
    image = np.repeat(mask[..., None] * 50, 3, 2)
    pipeline = training_pipeline(Augment(crop_size=[64, 72], scale=[0.5, 2.0], photometric=False))
    for seed in range(30):
        sample = _seeded(pipeline, seed)(image=image, mask=mask)
        labelled = sample["mask"] != IGNORE
        far = cv2.erode(_flat(sample["mask"]), np.ones((5, 5), np.uint8)) > 0  # away from edges
        far[:3] = far[-3:] = far[:, :3] = far[:, -3:] = False
        assert (sample["image"][labelled & far][:, 0] == sample["mask"][labelled & far] * 50).all()
        assert (labelled & far).any()


def test_scale_is_relative_to_the_box_or_the_picture():
    assert box_ratio((375, 500), None) == 1
    assert box_ratio((375, 500), (2048, 512)) == 512 / 375
    assert box_ratio((500, 375), (2048, 512)) == 512 / 375  # either way up
    assert box_ratio((100, 1000), (2048, 512)) == 2.048
    assert box_ratio((1024, 2048), [2048, 1024]) == 1


def test_factors_are_uniform():
    """Seen by the height of what the picture fills."""
    pipeline = training_pipeline(Augment(crop_size=[400, 400], scale=[0.5, 2.0], cat_max_ratio=1.0, photometric=False))
    heights = [
        int((_seeded(pipeline, seed)(image=smooth(100, 100), mask=blobs(100, 100))["mask"][:, 0] != IGNORE).sum())
        for seed in range(200)
    ]
    assert 50 <= min(heights) < 58
    assert 192 < max(heights) <= 200
    assert abs(np.mean(heights) - 125) < 9


@settings(max_examples=60, deadline=None)
@example(64, 64, 3, 0.984375, 1)  # a majority among few labelled pixels, which a coarse look had missed
@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 5), st.floats(0, 1), st.integers(0, 999))
def test_largest_share(height, width, classes, ignored, seed):
    rng = np.random.default_rng(seed)
    mask = cv2.resize(rng.integers(0, classes, (3, 3), np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    mask[: int(ignored * height)] = IGNORE
    counts = np.bincount(mask[mask != IGNORE], minlength=classes)
    assert largest_share(mask) == pytest.approx(counts.max() / counts.sum() if counts.sum() else 1.0, rel=1e-12)


def test_largest_share_of_stripes():
    """Which a look at every n-th pixel takes for one class; and of a part of a picture, rows apart in memory."""
    mask = np.zeros((512, 512), np.uint8)
    mask[:, ::16] = 1
    assert largest_share(mask) == 15 / 16
    assert largest_share(mask[:, ::16]) == 1


def test_crops_of_one_class_are_drawn_again():
    """A picture with one small patch: the crops that hold enough of it are preferred."""
    mask = np.zeros((200, 200), np.uint8)
    mask[80:120, 80:120] = 1
    image = smooth(200, 200)

    def shares(cat_max_ratio):
        pipeline = training_pipeline(
            Augment(crop_size=[48, 48], scale=[1.0, 1.0], cat_max_ratio=cat_max_ratio, flip=0.0, photometric=False)
        )
        return [largest_share(_seeded(pipeline, n)(image=image, mask=mask)["mask"]) for n in range(300)]

    free, ruled = np.array(shares(1.0)), np.array(shares(0.75))
    kept = (free <= 0.75).mean()
    assert kept < 0.25
    assert abs((ruled <= 0.75).mean() - (1 - (1 - kept) ** 11)) < 0.08  # 1 + 10 tries


def test_pipeline_follows_its_seed_and_nothing_else():
    pipeline = training_pipeline(Augment(crop_size=[48, 64]))
    image, mask = smooth(80, 90), blobs(80, 90)
    first = _seeded(pipeline, 5)(image=image, mask=mask)
    random.seed(1)
    np.random.seed(1)
    _seeded(pipeline, 6)(image=image, mask=mask)
    again = _seeded(training_pipeline(Augment(crop_size=[48, 64])), 5)(image=image, mask=mask)
    for key in ("image", "mask"):
        assert (first[key] == again[key]).all()


def test_inputs_are_not_written_to():
    image, mask = smooth(80, 90), blobs(80, 90)
    before = image.copy(), mask.copy()
    for seed in range(20):
        _seeded(training_pipeline(Augment(crop_size=[48, 64], scale=[1, 1])), seed)(image=image, mask=mask)
    assert (image == before[0]).all()
    assert (mask == before[1]).all()


def _seeded(transform, seed):
    transform.set_random_seed(seed)
    return transform


def _flat(mask):
    """1 where the 3x3 neighbourhood is of one class."""
    low, high = cv2.erode(mask, np.ones((3, 3), np.uint8)), cv2.dilate(mask, np.ones((3, 3), np.uint8))
    return (low == high).astype(np.uint8)
