"""Augmentation of pictures of any form: geometry as each channel alone would have it, brightness and contrast."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from scaseg.data.augment import Augment
from scaseg.data.draw import as_shown
from scaseg.data.levels import BRIGHTNESS, Levels, Shift
from scaseg.data.transforms import training_pipeline
from scaseg.errors import UserError
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.views import view
from scaseg.form import Form

RNG = np.random.default_rng(0)
STILL = Augment(crop_size=[48, 64], photometric=False)


def form(channels, dtype):
    mean = {"uint8": 100.0, "uint16": 20_000.0, "int16": -50.0, "float32": 0.5}[dtype]
    return Form(
        channels, dtype, mean=tuple(mean + i for i in range(channels)), std=(mean / 4 if mean > 0 else 9.0,) * channels
    )


def picture(of, height=40, width=90):
    values = RNG.normal(of.mean, of.std, (height, width, of.channels))
    return values.clip(0, 255).astype(np.uint8) if of.dtype == "uint8" else values.astype(np.float32)


def cropped(of, augment, image, seed):
    pipeline = training_pipeline(augment, of)
    pipeline.set_random_state(np.random.default_rng(seed), Random(seed))
    return pipeline(image=image, mask=np.arange(40 * 90).reshape(40, 90).astype(np.uint8))["image"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 4, 5, 7])
def test_each_channel_is_scaled_cropped_flipped_and_padded_as_it_would_be_alone(channels, dtype):
    of = form(channels, dtype)
    image = picture(of)
    for seed in range(6):
        together = cropped(of, STILL, image, seed)
        assert together.shape == (48, 64, channels) and together.dtype == image.dtype
        for i in range(channels):
            alone = Form(1, dtype, mean=of.mean[i : i + 1], std=of.std[i : i + 1])
            single = cropped(alone, STILL, np.ascontiguousarray(image[..., i : i + 1]), seed)
            np.testing.assert_allclose(together[..., i : i + 1], single, rtol=0, atol=1e-4 * of.std[0])
    padded = cropped(of, replace(STILL, scale=[0.5, 0.5]), image, 0)
    assert (padded[20:] == np.array(of.mean, image.dtype)).all() and (padded[:, 45:] == padded[-1, -1]).all()


def test_three_channels_among_four_are_cropped_as_rgb_is():
    image = picture(form(4, "uint8"))
    for seed in range(6):
        rgb = cropped(Form(), replace(STILL, scale=[1.5, 2.0]), np.ascontiguousarray(image[..., :3]), seed)
        np.testing.assert_array_equal(
            cropped(form(4, "uint8"), replace(STILL, scale=[1.5, 2.0]), image, seed)[..., :3], rgb
        )


def test_evaluation_resizes_all_channels():
    of = form(7, "uint16")
    seen = view(picture(of, 40, 60), Protocol(box=[120, 80]))
    assert seen.shape == (80, 120, 7) and seen.dtype == np.float32
    assert view(picture(form(1, "uint8"), 40, 60), Protocol(box=[30, 20])).shape == (20, 30, 1)


@pytest.mark.parametrize(("dtype", "limits"), [("uint8", (0, 255)), ("uint16", (0, 65535)), ("float32", None)])
def test_levels_are_one_line_for_all_channels_within_what_files_hold(dtype, limits):
    of = form(5, dtype)
    levels, random, image = Levels(of), Random(0), picture(of)
    drawn = [levels.draw(random) for _ in range(400)]
    mean, std = np.array(of.mean), np.array(of.std)
    for shift in drawn[:40]:
        line = shift.scale * (image.astype(np.float64) - mean) + mean + (shift.offset - mean * (1 - shift.scale))
        wanted = line if limits is None else line.clip(*limits)
        found = shift.apply(image)
        assert found.dtype == image.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=0.51 if dtype == "uint8" else 1e-3 * std[0])
    moved = np.array([(shift.offset - mean * (1 - shift.scale)) / std for shift in drawn])
    assert np.ptp(moved, 1).max() < 0.01 and np.abs(moved).max() <= BRIGHTNESS + 0.01  # the same of each channel
    scales = np.array([shift.scale for shift in drawn])
    assert scales.min() < 0.6 and scales.max() > 1.4 and 0.4 < (scales == 1).mean() < 0.6


def test_nothing_drawn_changes_nothing():
    image = picture(form(3, "uint16"))
    assert (Shift(1.0, np.zeros(3, np.float32), None).apply(image) == image).all()


def test_users_transforms_move_pixels_of_any_numbers_and_change_those_of_8_bits():
    flip, noise = ({"_target_": f"albumentations.{name}", "p": 1.0} for name in ("VerticalFlip", "GaussNoise"))
    whole = Augment(crop_size=[40, 90], scale=[1, 1], flip=0, photometric=False)
    of = form(7, "uint16")
    image = picture(of)
    turned = cropped(of, replace(whole, transforms=[flip]), image, 0)
    np.testing.assert_array_equal(turned, image[::-1])
    with pytest.raises(UserError, match=r"albumentations.GaussNoise changes numbers.*are uint16.*augment.photometric"):
        training_pipeline(Augment(transforms=[noise]), of)
    assert training_pipeline(Augment(transforms=[noise]), form(7, "uint8"))
    grey = {"_target_": "albumentations.ToGray", "p": 1.0}
    with pytest.raises(UserError, match=r"they do not take 7 channels of uint8|they make of a crop's image"):
        training_pipeline(Augment(transforms=[grey]), form(7, "uint8"))


def test_shown_are_the_chosen_channels_wide_numbers_stretched():
    image = RNG.integers(0, 256, (20, 30, 4)).astype(np.uint8)
    chosen = as_shown(image, Form(4, shown=(3, 1, 0)))
    np.testing.assert_array_equal(chosen, image[..., [3, 1, 0]])
    np.testing.assert_array_equal(as_shown(image[..., :3], Form(shown=(2, 1, 0))), image[..., [2, 1, 0]])
    wide = RNG.normal(5000, 300, (40, 50, 5)).astype(np.float32)
    shown = as_shown(wide, Form(5, "uint16", shown=(4, 4, 0)))
    assert shown.dtype == np.uint8 and (shown[..., 0] == shown[..., 1]).all()
    assert 0.015 < (shown[..., 2] == 0).mean() < 0.03 and 0.015 < (shown[..., 2] == 255).mean() < 0.03
    assert as_shown(np.full((4, 4, 1), 7, np.float32), Form(1, "float32", shown=(0, 0, 0))).max() == 0
