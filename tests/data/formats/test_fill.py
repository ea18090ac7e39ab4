"""From outlines to pixels: the stated rule, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.data.formats import fill
from scaseg.data.formats.paint import _within
from tests.data.formats.exports import SIZE, inside


def filled(rings, size=SIZE):
    mask = np.zeros(size, bool)
    region = _within(fill.polygon([np.array(ring, float).reshape(-1, 2) for ring in rings], size), size)
    height, width = region.inside.shape
    mask[region.top : region.top + height, region.left : region.left + width] = region.inside
    return mask


coordinates = st.one_of(
    st.integers(-10, 40), st.integers(-20, 80).map(lambda n: n / 2), st.floats(-50, 90), st.integers(-90, 130)
)
rings = st.lists(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(rings)
def test_polygons_by_the_crossing_rule_in_fractions(rings):
    assert (filled(rings) == inside(rings)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), min_size=4, max_size=4, unique=True))
def test_neighbours_share_no_pixel_and_leave_none_out(points):
    """A fan around a point: each pixel of the square belongs to exactly one of its triangles."""
    (x, y), *_ = [(x / 2, y / 2) for x, y in points]
    corners = [(0, 0), (30, 0), (30, 20), (0, 20)]
    triangles = [[(x, y), one, other] for one, other in zip(corners, corners[1:] + corners[:1], strict=True)]
    assert (sum(filled([triangle]).astype(int) for triangle in triangles) == 1).all()


def test_holes_and_what_is_no_polygon():
    square, hole = [(2, 2), (12, 2), (12, 12), (2, 12)], [(4, 4), (8, 4), (8, 8), (4, 8)]
    mask = filled([square, hole])
    assert mask.sum() == 100 - 16
    assert not mask[4:8, 4:8].any()
    assert filled([square])[2:12, 2:12].all() and filled([square]).sum() == 100
    assert not filled([[(1, 1), (9, 9)]]).any()
    assert not filled([[(40, 1), (50, 1), (50, 9)]]).any()  # beside the image
    assert not filled([[(3, 3), (3.4, 3), (3.4, 9), (3, 9)]]).any()  # between pixel centres


@pytest.mark.parametrize("degrees", [0, 30, -115])
def test_ellipses_by_their_equation(degrees):
    region = fill.ellipse(np.array([14.25, 9.5]), np.array([12.1, 5.3]), degrees, SIZE)
    mask = np.zeros(SIZE, bool)
    height, width = region.inside.shape
    mask[region.top : region.top + height, region.left : region.left + width] = region.inside
    turn = np.exp(-1j * np.radians(degrees))
    for row, column in np.ndindex(SIZE):
        z = (complex(column + 0.5, row + 0.5) - complex(14.25, 9.5)) * turn
        assert mask[row, column] == ((z.real / 12.1) ** 2 + (z.imag / 5.3) ** 2 < 1)


def test_turned_rectangles():
    assert np.allclose(fill.rectangle(2, 2, 8, 4, 90), [(6, 0), (6, 6), (4, 6), (4, 0)])
