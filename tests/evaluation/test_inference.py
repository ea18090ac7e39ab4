from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scaseg.data.sizes import windows
from scaseg.evaluation import row_bands as rows
from scaseg.evaluation.inference import labels_at, slide
from scaseg.evaluation.protocol import Mode, Protocol
from tests.evaluation.predicted import predict_labels

sides = st.integers(1, 40)


def strided(images: Tensor, stride: int = 4) -> Tensor:
    """A model of 6 classes whose logits depend on the place in the window: mean of each 4 x 4 cell, and a ramp."""
    pooled = F.avg_pool2d(images.float(), stride, ceil_mode=True)
    ramp = torch.linspace(-1, 1, pooled.shape[3]) * torch.linspace(1, 2, pooled.shape[2])[:, None]
    return torch.cat([pooled, pooled.flip(1) * ramp], 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 30), sides, sides, sides, sides, st.integers(0, 10**6))
def test_labels_are_those_of_resizing_all_logits(
    batch: int, classes: int, h: int, w: int, height: int, width: int, seed: int
) -> None:
    logits = torch.randn(batch, classes, h, w, generator=torch.Generator().manual_seed(seed))
    labels = labels_at(logits, (height, width))
    full = F.interpolate(logits, size=(height, width), mode="bilinear")
    assert labels.dtype == torch.uint8
    assert labels.shape == (batch, height, width)
    chosen = full.gather(1, labels.long()[:, None])[:, 0]
    torch.testing.assert_close(chosen, full.amax(1), rtol=1e-5, atol=1e-5)  # but for ties, the same label
    assert (labels == full.argmax(1)).double().mean() > 0.99 or height * width < 100


@settings(max_examples=20, deadline=None)
@given(sides, sides, st.integers(1, 120), st.integers(1, 7))
def test_bands_change_nothing(h: int, w: int, height: int, count: int) -> None:
    logits = torch.randn(2, 5, h, w)
    whole = labels_at(logits, (height, 33))
    before, rows.BAND_BYTES = rows.BAND_BYTES, 4 * 2 * 5 * 33 * count
    try:
        banded = labels_at(logits, (height, 33))
    finally:
        rows.BAND_BYTES = before
    assert torch.equal(whole, banded)


def test_many_classes_have_room_and_halves_are_taken() -> None:
    logits = torch.full((1, 300, 2, 2), -1.0)
    logits[:, 299] = 1
    assert labels_at(logits, (8, 8)).unique().tolist() == [299]
    assert labels_at(logits[:, -250:].bfloat16(), (8, 8)).unique().tolist() == [249]


def test_memory_stays_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            if isinstance(out, Tensor) and out.is_floating_point():
                largest = max(largest, out.numel() * out.element_size())
            return out

    monkeypatch.setattr(rows, "BAND_BYTES", 2**20)
    logits = torch.randn(1, 150, 16, 16)
    with Watch():
        labels_at(logits, (512, 512))
    assert largest <= max(2**20, 4 * 150 * 16 * 512)
    assert largest < 4 * 150 * 512 * 512 / 20


lengths = st.integers(1, 100)


@settings(max_examples=100, deadline=None)
@given(lengths, lengths, lengths, lengths, st.data())
def test_windows_cover_everything_and_stay_inside(h: int, w: int, wh: int, ww: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, wh)), data.draw(st.integers(1, ww))
    wh, ww = min(wh, h), min(ww, w)
    seen = np.zeros((h, w), int)
    corners = list(windows((h, w), (wh, ww), stride))
    for y, x in corners:
        assert 0 <= y <= h - wh
        assert 0 <= x <= w - ww
        seen[y : y + wh, x : x + ww] += 1
    assert seen.min() >= 1
    assert len(set(corners)) == len(corners)


def reading(images: Tensor, window: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Sliding windows as mmsegmentation words them: a grid of ceil((size - window) / stride) + 1 a side."""
    height, width = images.shape[2:]
    total, count = torch.zeros(images.shape[0], 6, height, width), torch.zeros(height, width)
    lines = max(height - window[0] + stride[0] - 1, 0) // stride[0] + 1
    columns = max(width - window[1] + stride[1] - 1, 0) // stride[1] + 1
    for row in range(lines):
        for column in range(columns):
            bottom = min(row * stride[0] + window[0], height)
            right = min(column * stride[1] + window[1], width)
            top, left = max(bottom - window[0], 0), max(right - window[1], 0)
            crop = images[:, :, top:bottom, left:right]
            logits = F.interpolate(strided(crop), size=crop.shape[2:], mode="bilinear")
            for y in range(top, bottom):
                for x in range(left, right):
                    total[:, :, y, x] += logits[:, :, y - top, x - left]
                    count[y, x] += 1
    return total / count


def cases() -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    yield (20, 33), (12, 12), (8, 8)
    yield (20, 33), (12, 12), (12, 12)
    yield (20, 33), (32, 12), (20, 7)  # taller than the image
    yield (13, 13), (12, 13), (1, 13)


@pytest.mark.parametrize(("size", "window", "stride"), list(cases()))
def test_each_pixel_has_the_mean_of_its_windows(
    size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]
) -> None:
    images = torch.randn(2, 3, *size)
    torch.testing.assert_close(slide(strided, images, window, stride), reading(images, window, stride))


def test_one_window_is_the_whole_image() -> None:
    images = torch.randn(2, 3, 21, 30)
    for window in ((21, 30), (64, 64)):
        protocol = Protocol(mode=Mode.slide, window=list(window), stride=[16, 16])
        labels = predict_labels(strided, images, (42, 61), protocol)
        assert torch.equal(labels, predict_labels(strided, images, (42, 61)))
