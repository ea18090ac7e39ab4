import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scaseg.models.layers import spline_table
from scaseg.models.layers.spline import bspline
from scaseg.models.layers.spline_table import gather, gather_dot, row_dtype, scatter

ROWS = 20


def points(batch: int, count: int, channels: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """table (batch * ROWS, d), rows and u (batch * count), gradient (batch * count, d); float64."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(batch * ROWS, channels, generator=generator, dtype=torch.float64)
    rows = torch.randint(0, ROWS - 3, (batch, count), generator=generator, dtype=torch.int32)
    rows = (rows + torch.arange(0, batch * ROWS, ROWS, dtype=torch.int32)[:, None]).view(-1)
    u = torch.rand(batch * count, generator=generator, dtype=torch.float64) - 0.5
    return table, rows, u, torch.randn(batch * count, channels, generator=generator, dtype=torch.float64)


def dense(rows: Tensor, u: Tensor, size: int) -> Tensor:
    """(n, size): each point's weights of all rows, from the B-splines themselves."""
    x = rows + u + 1.5  # a cell's middle lies 3/2 rows after its first
    return torch.from_numpy(bspline((x[:, None] - torch.arange(size)).numpy(), 3))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 70), st.integers(1, 9), st.sampled_from([7, 32, 10**6]), st.integers(0, 2**31))
def test_against_the_dense_matrix(batch: int, count: int, channels: int, block: int, seed: int) -> None:
    table, rows, u, grad = points(batch, count, channels, seed)
    matrix = dense(rows, u, len(table))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spline_table, "BLOCK", block)
        torch.testing.assert_close(gather(table, rows, u), matrix @ table)
        torch.testing.assert_close(gather_dot(table, rows, u, grad), (matrix @ table * grad).sum(-1))
        found = scatter(rows, u, grad, len(table), (count, ROWS))
        torch.testing.assert_close(found, matrix.t() @ grad)


@pytest.mark.parametrize("count", [8190, 8192, 20000, 32767, 32768, 33000])
def test_scatter_at_the_sizes_where_sorting_changes(count: int) -> None:
    table, rows, u, grad = points(1, count, 2, seed=count)
    torch.testing.assert_close(scatter(rows, u, grad, len(table), (count, ROWS)), dense(rows, u, len(table)).t() @ grad)


@pytest.mark.parametrize("limit", ["INT16", "INT32"])
def test_more_rows_than_small_integers_number(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, rows, u, grad = points(3, 50, 2, seed=1)
    expected = scatter(rows, u, grad, len(table), (50, ROWS))
    monkeypatch.setattr(spline_table, limit, 40)
    assert row_dtype(10, 41) is (torch.int64 if limit == "INT32" else torch.int32)
    assert row_dtype(11, 10) is (torch.int64 if limit == "INT32" else torch.int32)
    rows = rows.to(row_dtype(150, 60))
    assert torch.equal(scatter(rows, u, grad, len(table), (50, ROWS)), expected)
    torch.testing.assert_close(gather(table, rows, u), dense(rows, u, len(table)) @ table)


def test_points_beside_their_cell_are_extrapolated_not_lost() -> None:
    table = torch.arange(8.0, dtype=torch.float64).view(-1, 1)
    rows, u = torch.tensor([2, 2], dtype=torch.int32), torch.tensor([-0.6, 0.6], dtype=torch.float64)
    torch.testing.assert_close(gather(table, rows, u).view(-1), 3.5 + u)
