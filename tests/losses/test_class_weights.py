"""`class_weights=auto` against a count and a rule written here, and against the weights of a recorded recipe."""

from collections.abc import Sequence
from math import log
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scaseg.config import compose, run_config
from scaseg.losses.class_weights import by_frequency
from scaseg.runs.asked import asked
from scaseg.training.class_pixels import with_pixels
from scaseg.training.recipe import build_loss


def weights_of(shared: Path, split: str) -> list[float]:
    """Of CamVid, by the code of a training."""
    options = ["dataset=camvid", f"data_dir={shared / 'data/CamVid'}", f"dataset.train_split={split}"]
    run = asked(run_config(compose("train", [*options, "loss.cross_entropy.class_weights=auto"])))
    config, labels = with_pixels(run), run.val.labels
    loss = build_loss(config.loss, "camvid", labels, config.class_pixels["train"])
    weights: Sequence[float] = loss.terms["cross_entropy"].class_weights.tolist()  # type: ignore[union-attr, operator]
    return list(weights)


def test_those_of_camvid_are_within_a_hundredth_of_an_independent_count(shared: Path) -> None:
    pixels: npt.NDArray[np.float64] = np.zeros(12)
    for path in (shared / "data/CamVid/trainannot").glob("*.png"):
        with Image.open(path) as mask:
            ids = np.asarray(mask)
        pixels += [np.count_nonzero(ids == k) for k in range(12)]
    share = pixels[:11] / pixels[:11].sum()  # 11 is void
    right = 1 / np.log(1.1 + share)
    right /= (right * share).sum()
    np.testing.assert_allclose(weights_of(shared, "train"), right, rtol=0.01)


def test_those_of_camvids_recipe_are_these(shared: Path) -> None:
    """Written into it by hand, with two decimals, before there was a word for them."""
    written = run_config(compose("train", ["experiment=camvid_pretrained"])).loss["cross_entropy"].class_weights
    np.testing.assert_allclose(weights_of(shared, "trainval"), written, atol=0.0051)


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_their_mean_over_the_pixels_is_1_and_rarer_classes_weigh_more(pixels: list[int]) -> None:
    weights, total = by_frequency(pixels), sum(pixels)
    mean = sum(n * w for n, w in zip(pixels, weights, strict=True)) / total if total else weights[0]
    assert mean == pytest.approx(1)
    by_pixels = [weight for _, weight in sorted(zip(pixels, weights, strict=True))]
    assert by_pixels == sorted(by_pixels, reverse=True) or not total


def test_the_rule() -> None:
    one, three = 1 / log(1.1 + 0.25), 1 / log(1.1 + 0.75)
    assert by_frequency([3, 1, 0]) == pytest.approx(
        [w / (0.75 * three + 0.25 * one) for w in (three, one, 1 / log(1.1))]
    )
    assert by_frequency([0, 0]) == [1, 1]
