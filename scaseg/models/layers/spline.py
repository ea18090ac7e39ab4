"""Uniform B-splines as constant matrices: from samples of a smooth function to the coefficients of a spline.

A B-spline of degree p centred on 0 is B(x) = 1/p! sum_j (-1)^j C(p+1, j) max(0, x + (p+1)/2 - j)^p (Schoenberg 1946):
a bump of width p + 1; a spline is a sum of them, centred on the integers.
"""

from collections.abc import Callable
from functools import cache
from math import comb, factorial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Matrix = NDArray[np.floating]
Made = TypeVar("Made", bound=Callable[..., Tensor])

DEGREE = 7  # of the spline through the samples
TABLE_DEGREE = 3
PAD = 4  # samples beyond each end of the range: there the function is known, a polynomial would be a guess
REFINED = 2  # rows of the table a sample
NEGLIGIBLE = 1e-13  # smaller entries, on their way down to float32 denormals, would slow the product tenfold


def bspline(x: Matrix, degree: int) -> Matrix:
    """The B-spline of this degree centred on 0, at x."""
    inside = (degree + 1) / 2 - np.abs(x)  # B is even: the left half has fewer terms, and they cancel less
    terms = [(-1) ** j * comb(degree + 1, j) * np.maximum(inside - j, 0) ** degree for j in range(degree // 2 + 1)]
    return np.asarray(sum(terms) / factorial(degree))


def interpolation(count: int, x: Matrix, degree: int) -> Matrix:
    """(len(x), count): samples at 0 .. count - 1 -> values at x of the spline through them.

    Coefficients beyond the ends, which no sample fixes, continue the nearest degree + 1 ones as a polynomial.
    """
    extended, centres = _extension(count, degree)
    return bspline(x[:, None] - centres, degree) @ extended @ coefficients(count, degree)


def coefficients(count: int, degree: int) -> Matrix:
    """(count, count): samples at 0 .. count - 1 -> coefficients of the spline through them."""
    extended, centres = _extension(count, degree)
    return np.linalg.inv(bspline(np.arange(count)[:, None] - centres, degree) @ extended)


def _extension(count: int, degree: int) -> tuple[Matrix, Matrix]:
    """Coefficients 0 .. count - 1 -> those of all B-splines that reach a sample; and where these are centred."""
    more = degree // 2
    centres = np.arange(-more, count + more, dtype=float)
    near = np.arange(degree + 1)
    before = np.ones((more, degree + 1))  # Lagrange's formula: from the coefficients `near` to -more .. -1
    for i in near:
        for j in near[near != i]:
            before[:, i] *= (centres[:more] - j) / (i - j)
    extended = np.zeros((count + 2 * more, count))
    extended[:more, : degree + 1] = before
    extended[more : more + count] = np.eye(count)
    extended[more + count :, -degree - 1 :] = before[::-1, ::-1]
    return extended, centres


@cache
def _samples_to_table(nodes: int) -> Matrix:
    rows = REFINED * nodes
    cells = rows - TABLE_DEGREE
    centres = np.arange(rows) + (1 - TABLE_DEGREE) / 2  # of the table's B-splines, in cells from the start of the range
    values = interpolation(nodes, PAD + centres * (nodes - 1 - 2 * PAD) / cells, DEGREE)
    matrix = coefficients(rows, TABLE_DEGREE) @ values
    matrix[np.abs(matrix) < NEGLIGIBLE] = 0
    return matrix


@cache
def _powers_to_weights() -> Matrix:
    numbers = np.arange(TABLE_DEGREE + 1)
    points = numbers / TABLE_DEGREE - 0.5
    values = bspline(points[:, None] - (numbers - TABLE_DEGREE / 2), TABLE_DEGREE)
    return np.asarray(np.linalg.solve(points[:, None] ** numbers, values))


def _constant_in_graphs(function: Made) -> Made:
    """torch.compiler.assume_constant_result, which imports the compiler: a second that inference has no use for."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@_constant_in_graphs
def samples_to_table(nodes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(REFINED nodes, nodes): samples of a function -> coefficients c of a cubic spline through its values.

    Sample j lies at (j - PAD) / (nodes - 1 - 2 PAD) of the range that the spline's REFINED nodes - TABLE_DEGREE cells
    divide. In cell i, at u from its middle, the function is sum_l w_l c_(i+l), w = (1, u, u^2, u^3) powers_to_weights.
    """
    return _on_device(("table", nodes, dtype, device), lambda: _samples_to_table(nodes))


def cells_and_samples(nodes: int, dtype: torch.dtype, device: torch.device) -> tuple[int, Tensor]:
    """How many cells there are, and where the samples lie, in cells from the start of the range: (nodes,)."""
    return REFINED * nodes - TABLE_DEGREE, _sample_positions(nodes, dtype, device)


@_constant_in_graphs
def _sample_positions(nodes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    spacing = (REFINED * nodes - TABLE_DEGREE) / (nodes - 1 - 2 * PAD)
    return _on_device(("samples", nodes, dtype, device), lambda: (np.arange(nodes) - PAD) * spacing)


@_constant_in_graphs
def powers_to_weights(dtype: torch.dtype, device: torch.device) -> Tensor:
    """(4, 4): powers of u, |u| <= 1/2 -> the cubic B-splines centred on -3/2, -1/2, 1/2 and 3/2, at u."""
    return _on_device(("weights", TABLE_DEGREE, dtype, device), _powers_to_weights)


_tensors: dict[tuple[str, int, torch.dtype, torch.device], Tensor] = {}


def _on_device(key: tuple[str, int, torch.dtype, torch.device], matrix: Callable[[], Matrix]) -> Tensor:
    """Made once: a copy to a device at every call would wait for it."""
    if key not in _tensors:
        with torch.inference_mode(False):
            made = torch.from_numpy(matrix()).to(key[3], key[2])
        if type(made) is not Tensor:  # a tracer's stand-in, not to outlive the trace
            return made
        _tensors[key] = made
    return _tensors[key]
