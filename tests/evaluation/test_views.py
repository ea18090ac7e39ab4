"""Batches of windows, scales and flips, and the memory that all of them take."""

import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scaseg.evaluation.inference import slide
from scaseg.evaluation.protocol import Mode, Protocol, Resized
from tests.conftest import ROOT
from tests.evaluation.predicted import predict_labels
from tests.evaluation.test_inference import strided


def equivariant(images: Tensor) -> Tensor:
    """A model whose logits flip with the image: widths must be multiples of 4."""
    return F.avg_pool2d(torch.cat([images, 1 - images], 1).float(), 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3), st.integers(0, 10**6))
def test_windows_in_batches_are_windows_one_by_one(batch: int, images: int, seed: int) -> None:
    picture = torch.randn(images, 3, 30, 41, generator=torch.Generator().manual_seed(seed))
    sizes: list[int] = []

    def watched(crops: Tensor) -> Tensor:
        sizes.append(len(crops))
        return strided(crops)

    together = slide(watched, picture, (16, 16), (9, 11), batch)
    torch.testing.assert_close(together, slide(strided, picture, (16, 16), (9, 11)))
    assert max(sizes) <= batch * images
    assert len(sizes) == -(-12 // batch)  # 3 rows of 4 windows


WINDOWS = {"mode": Mode.slide, "window": [16, 16], "stride": [8, 8]}


@pytest.mark.parametrize("windows", [{}, WINDOWS])
def test_flipping_a_model_that_flips_changes_nothing(windows: dict[str, Any]) -> None:
    images = torch.randn(2, 3, 24, 40)
    plain, mirrored = Protocol(**windows), Protocol(**windows, flip=True)
    same = predict_labels(equivariant, images, (47, 81), plain) == predict_labels(
        equivariant, images, (47, 81), mirrored
    )
    assert same.double().mean() > 0.999  # float ties
    assert not torch.equal(
        predict_labels(strided, images, (24, 40), plain), predict_labels(strided, images, (24, 40), mirrored)
    )


def test_logits_resized_twice_are_mmsegmentations() -> None:
    """Whole images: to the size that the model saw, then to the mask's; with one of the two as it is, no matter."""
    images, size = torch.randn(2, 3, 24, 40), (50, 70)
    seen = F.interpolate(strided(images), size=(24, 40), mode="bilinear")
    expected = F.interpolate(seen, size=size, mode="bilinear").argmax(1)
    twice = Protocol(logits_resized=Resized.twice)
    found = predict_labels(strided, images, size, twice)
    assert (found == expected).double().mean() > 0.999  # float ties
    assert not torch.equal(found, predict_labels(strided, images, size))
    assert torch.equal(predict_labels(strided, images, (24, 40), twice), predict_labels(strided, images, (24, 40)))


def test_views_are_averaged_as_probabilities_at_the_final_size() -> None:
    images = [torch.randn(2, 3, *size) for size in ((12, 20), (24, 40), (36, 61))]
    expected = torch.zeros(2, 6, 50, 70)
    for view in images:
        for flip in (False, True):
            logits = strided(view.flip(3) if flip else view)
            full = F.interpolate(logits, size=(50, 70), mode="bilinear").softmax(1)
            expected += full.flip(3) if flip else full
    labels = predict_labels(strided, images, (50, 70), Protocol(flip=True))
    chosen = expected.gather(1, labels.long()[:, None])[:, 0]
    torch.testing.assert_close(chosen, expected.amax(1))
    assert torch.equal(predict_labels(strided, images[:1], (50, 70)), predict_labels(strided, images[0], (50, 70)))


def test_half_precision_logits_are_averaged_in_single_precision() -> None:
    images = torch.randn(1, 3, 24, 40)
    protocol = Protocol(**WINDOWS, flip=True)  # type: ignore[arg-type]
    half = predict_labels(lambda x: strided(x).bfloat16(), [images, images], (24, 40), protocol)
    single = predict_labels(strided, [images, images], (24, 40), protocol)
    assert (half == single).double().mean() > 0.95


MEASURE = """
import resource, sys, torch
from tests.evaluation.predicted import predict_labels
from scaseg.evaluation.protocol import Mode, Protocol
height, width, classes, scales, flip, windows = eval(sys.argv[1])
def model(images):
    shape = (len(images), classes, images.shape[2] // 4, images.shape[3] // 4)
    return torch.randn(shape)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # GiB
with torch.inference_mode():
    images = [torch.zeros(1, 3, int(height * s), int(width * s), dtype=torch.uint8) for s in scales]
    before = peak()
    mode = Mode.slide if windows[0] else Mode.whole
    protocol = Protocol(mode=mode, window=windows[0], stride=windows[1], flip=flip)
    predict_labels(model, images, (height, width), protocol, window_batch_size=4)
print(peak() - before)
"""
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


@pytest.mark.parametrize(
    ("case", "at_most"),
    [
        pytest.param((1024, 2048, 19, (1,), False, ((1024, 1024), (768, 768))), 0.35, id="cityscapes, windows"),
        pytest.param((512, 2048, 171, (1,), False, (None, None)), 0.5, id="171 classes, whole"),
        pytest.param((512, 2048, 171, (1,), False, ((512, 512), (341, 341))), 0.6, id="171 classes, windows"),
        pytest.param(
            *((512, 2048, 171, SCALES, True, (None, None)), 2), id="171 classes, 12 views", marks=pytest.mark.slow
        ),
        pytest.param(
            *((1024, 2048, 19, SCALES, True, ((1024, 1024), (768, 768))), 2),
            id="cityscapes, 12 views of windows",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_memory_above_the_models_own(case: tuple[object, ...], at_most: float) -> None:
    """Peak resident memory of a process whose model makes nothing but its logits, in GiB; 2 are allowed."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, repr(case)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    print(done.stdout)
    assert float(done.stdout) < at_most
