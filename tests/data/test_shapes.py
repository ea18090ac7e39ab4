import numpy as np
import pytest

from scaseg.data.shapes import GROUND, POLE, SKY, WALL, WATER, Shapes
from scaseg.errors import UserError


def test_same_seed_same_picture():
    for i in (0, 7):
        first, again = Shapes(seed=3).read(i), Shapes(seed=3).read(i)
        assert all((a == b).all() for a, b in zip(first, again, strict=True))
        assert (Shapes(seed=4).read(i)[0] != first[0]).any()
        assert (Shapes(seed=3, split="val").read(i)[0] != first[0]).any()
        assert (Shapes(seed=3).read(i + 1)[0] != first[0]).any()


def test_sizes_and_lengths():
    assert [len(Shapes(split=split)) for split in Shapes.splits] == [2000, 100, 100]
    data = Shapes(size=[40, 56], length=3)
    image, mask = data.read(2)
    assert image.shape == (40, 56, 3)
    assert mask.shape == (40, 56)
    assert image.dtype == mask.dtype == np.uint8
    assert data.name(2) == "train_00002"
    with pytest.raises(IndexError):
        data.read(3)


def test_bad_options():
    with pytest.raises(UserError, match="train, val, test"):
        Shapes(split="dev")
    with pytest.raises(UserError, match="at least 32"):
        Shapes(size=[16, 16])


def test_every_class_is_common_enough_to_learn():
    data = Shapes(split="val")
    counts = sum(np.bincount(data.read(i)[1].ravel(), minlength=9) for i in range(len(data)))
    share = counts / counts.sum()
    assert share[8:].sum() == 0
    assert share.min() < 0.05  # thin and small things
    assert (share[:8] > 0.01).all()
    assert share.max() < 0.4


@pytest.mark.parametrize(("one", "other"), [(SKY, WATER), (GROUND, WALL)])
def test_colour_alone_does_not_tell_them_apart(one, other):
    """In a picture, the two differ less in mean colour than the other regions do."""
    data = Shapes(split="val")
    alike, different = [], []
    for i in range(len(data)):
        image, mask = data.read(i)
        mean = {c: image[mask == c].mean(0) for c in (SKY, WATER, GROUND, WALL) if (mask == c).sum() > 300}
        if {one, other} <= mean.keys():
            alike.append(np.abs(mean[one] - mean[other]).mean())
        if {SKY, GROUND} <= mean.keys():
            different.append(np.abs(mean[SKY] - mean[GROUND]).mean())
    assert len(alike) > 20
    assert np.mean(alike) < 0.5 * np.mean(different)


def test_poles_are_thin():
    data = Shapes(split="val")
    runs = []
    for i in range(20):
        pole = np.pad(data.read(i)[1] == POLE, ((0, 0), (1, 1))).astype(np.int8)
        steps = np.diff(pole, axis=1)
        runs += (np.nonzero(steps == -1)[1] - np.nonzero(steps == 1)[1]).tolist()
    assert np.median(runs) <= 4
