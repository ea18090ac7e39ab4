import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from scaseg.models.layers import spline
from scaseg.models.layers.spline import PAD, REFINED, TABLE_DEGREE, bspline, coefficients, interpolation

CPU = torch.device("cpu")


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5, 7])
def test_bspline_is_scipys(degree: int) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    half = (degree + 1) / 2
    element = interpolate.BSpline.basis_element(np.arange(degree + 2) - half, extrapolate=False)
    x = np.linspace(-half, half, 203)[1:-1]
    np.testing.assert_allclose(bspline(x, degree), element(x), atol=1e-13)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 2, 3, 5, 7]), st.integers(16, 60), st.integers(0, 2**31))
def test_interpolation_meets_the_samples_and_is_exact_for_polynomials(degree: int, count: int, seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(count)
    at_samples = interpolation(count, np.arange(count, dtype=float), degree) @ samples
    np.testing.assert_allclose(at_samples, samples, atol=1e-9)

    def polynomial(x: np.ndarray) -> np.ndarray:
        return np.polynomial.chebyshev.chebval(2 * x / (count - 1) - 1, samples[: degree + 1])

    between = np.linspace(0, count - 1, 3 * count)
    found = interpolation(count, between, degree) @ polynomial(np.arange(count, dtype=float))
    np.testing.assert_allclose(found, polynomial(between), atol=1e-8)


def test_interpolation_gains_its_order() -> None:
    def error(count: int) -> float:
        x = np.linspace(0, count - 1, 1000)
        samples = np.cos(6 * np.arange(count) / (count - 1))
        return float(np.abs(interpolation(count, x, 3) @ samples - np.cos(6 * x / (count - 1))).max())

    assert 12 < error(41) / error(81) < 24


def test_coefficients_far_from_a_sample_vanish() -> None:
    assert np.abs(coefficients(64, 3)[0, 40:]).max() < 1e-10


@pytest.mark.parametrize("nodes", [32, 128])
def test_table_holds_the_function_that_was_sampled(nodes: int) -> None:
    steps, cells = nodes - 1 - 2 * PAD, REFINED * nodes - TABLE_DEGREE
    sites = torch.arange(-PAD, nodes - PAD, dtype=torch.float64) / steps
    table = spline.samples_to_table(nodes, torch.float64, CPU) @ torch.sin(5 * sites)
    x = torch.linspace(0, cells, 997, dtype=torch.float64)
    cell = x.long().clamp(max=cells - 1)
    u = (x - cell - 0.5).unsqueeze(-1)
    weights = u ** torch.arange(TABLE_DEGREE + 1) @ spline.powers_to_weights(torch.float64, CPU)
    found = sum(weights[:, row] * table[cell + row] for row in range(TABLE_DEGREE + 1))
    torch.testing.assert_close(found, torch.sin(5 * x / cells), atol=3e-6 if nodes == 32 else 3e-9, rtol=0)


def test_no_entry_leads_to_denormals() -> None:
    matrix = spline.samples_to_table(128, torch.float32, CPU)
    assert matrix[matrix != 0].abs().min() >= spline.NEGLIGIBLE


def test_tracers_do_not_leave_their_stand_ins_behind() -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        spline.samples_to_table(48, torch.bfloat16, CPU)
    assert type(spline.samples_to_table(48, torch.bfloat16, CPU)) is torch.Tensor


def test_constants_made_in_inference_mode_serve_training() -> None:
    with torch.inference_mode():
        assert not spline.samples_to_table(40, torch.float32, CPU).is_inference()
