import colorsys
import random

import cv2
import numpy as np
import pytest

from scaseg.data.photometric import Distortion, Photometric, distort


def smooth(height, width):
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), (width, height))


def plain_distortion(image, before, saturation, hue, after):
    """The same in float, one step after the other, each through HSV of its own."""
    out = np.empty(image.shape)
    for index in np.ndindex(image.shape[:2]):
        pixel = image[index].astype(float)
        pixel = before(pixel)
        h, s, v = colorsys.rgb_to_hsv(*(pixel / 255))
        s = min(1.0, s * saturation)
        pixel = 255 * np.array(colorsys.hsv_to_rgb((h + hue) % 1, s, v))
        out[index] = after(pixel)
    return out


def table(function):
    return np.clip(function(np.arange(256.0)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("hue", [-12, 0, 13])
@pytest.mark.parametrize("saturation", [0.5, 1.0, 1.5])
def test_distortion_is_what_it_says(hue, saturation):
    image = smooth(12, 17)

    def before(p):
        return np.clip(1.2 * np.clip(p - 20, 0, 255), 0, 255)

    def after(p):
        return np.clip(0.8 * p, 0, 255)

    drawn = Distortion(table(before), None if saturation == 1 else table(lambda s: saturation * s), hue, table(after))
    difference = np.abs(distort(image, drawn) - plain_distortion(image, before, saturation, hue / 256, after))
    assert difference.mean() < 2
    assert difference.max() < 8  # 8 bits of hue and of saturation


def test_no_distortion_changes_nothing():
    image = smooth(20, 30)
    assert (distort(image, Distortion(None, None, 0, None)) == image).all()


def test_draws_have_the_recipes_ranges():
    photometric, draws = Photometric(), random.Random(0)
    drawn = [photometric.draw(draws) for _ in range(4000)]
    hues = np.array([d.hue for d in drawn])
    assert abs((hues != 0).mean() - 0.5) < 0.04
    assert hues.min() == -13  # 18 degrees of 360 are 12.8 of 256
    assert hues.max() == 13
    scales = [d.saturation[100] / 100 for d in drawn if d.saturation is not None]
    assert abs(len(scales) / 4000 - 0.5) < 0.03
    assert min(scales) >= 0.5
    assert max(scales) <= 1.5
    assert abs(np.mean(scales) - 1) < 0.02
    after = [d.after[100] / 100 for d in drawn if d.after is not None]
    assert abs(len(after) / 4000 - 0.25) < 0.03  # contrast last: half of half
    assert abs(np.mean([d.before is None for d in drawn]) - 0.5 * 0.75) < 0.03
    only_brightness = [int(d.before[128]) - 128 for d in drawn if d.before is not None and d.after is not None]
    assert -33 <= min(only_brightness) < -28
    assert 28 < max(only_brightness) <= 32


def test_photometric_alone_is_an_albumentations_transform():
    image = smooth(20, 30)
    mask = np.arange(600, dtype=np.uint8).reshape(20, 30)
    transform = Photometric()
    transform.set_random_seed(3)
    result = transform(image=image, mask=mask)
    assert (result["image"] != image).any()
    assert (result["mask"] == mask).all()
