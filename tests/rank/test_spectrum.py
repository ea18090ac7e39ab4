"""Heads of fewer channels against plain readings in float64."""

import pytest
import torch
from torch import Tensor

from scaseg.models.layers.attention import CrossAttention
from scaseg.models.layers.ranked_attention import RankedCrossAttention
from scaseg.rank.spectrum import Moments, spectrum


def moments(seed: int, r: int) -> tuple[Tensor, Tensor]:
    """Of queries and of keys whose channels differ in size and depend on each other, (n, r) each."""
    generator = torch.Generator().manual_seed(seed)
    q, k = (
        torch.randn(200, r, generator=generator, dtype=torch.float64) @ torch.randn(r, r, generator=generator).double()
        for _ in range(2)
    )
    return q, k


@pytest.mark.parametrize("rank", [0, 1, 2, 4])
def test_what_a_rank_leaves_out_is_the_least_mean_square_of_logits(rank: int) -> None:
    """Over all pairs of a query and a key: that is the Frobenius norm, whose best approximation is known of old."""
    q, k = moments(rank, 4)
    k = k - k.mean(0)
    found = spectrum(q.T @ q / len(q), k.T @ k / len(k), 0.5)
    logits = 0.5 * q @ k.T
    values = torch.linalg.svdvals(logits)
    least = values[rank:].square().sum() / logits.numel()
    left_out = logits - 0.5 * q @ found.product(rank) @ k.T
    assert found.dropped(rank) == pytest.approx(float(least), rel=1e-9, abs=1e-12)
    assert float(left_out.square().mean()) == pytest.approx(float(least), rel=1e-9, abs=1e-12)
    left, right = found.factors(rank)
    torch.testing.assert_close((q @ left) @ (k @ right).T * max(rank, 1) ** -0.5, logits - left_out)


def test_channels_that_see_nothing_are_no_trouble() -> None:
    q, k = moments(0, 4)
    q, k = q * torch.tensor([1, 1, 0, 1]), k * torch.tensor([1, 0, 1, 1])
    found = spectrum(q.T @ q / len(q), k.T @ k / len(k), 1.0)
    assert found.dropped(2) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(q @ found.product(2) @ k.T, q @ k.T)


@torch.no_grad()
def test_moments_are_those_of_the_heads_over_images_and_keys_from_their_mean() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(8, 12, 2, 3).double()
    seen = Moments(attention)
    attention.register_forward_hook(seen)
    queries, keys = torch.randn(2, 5, 4, 8).double(), torch.randn(2, 3, 2, 12).double()
    for query, key in zip(queries.split(1), keys.split(1), strict=True):
        attention(query, key)
    for head, found in enumerate(seen.spectra()):
        rows = slice(3 * head, 3 * head + 3)
        q = queries.reshape(2, 20, 8) @ attention.q.weight[rows].T
        k = keys.reshape(2, 6, 12) @ attention.k.weight[rows].T
        of_query = torch.stack([a.T @ a / 20 for a in q]).mean(0)
        of_key = torch.stack([torch.cov(b.T, correction=0) for b in k]).mean(0)
        torch.testing.assert_close(seen.query[head] / 2, of_query)
        torch.testing.assert_close(seen.key[head] / 2, of_key)
        assert found.dropped(3) == 0


@pytest.mark.parametrize("ranks", [(3, 1, 0), (2, 2, 2), (0, 0, 0), (1, 1, 0), (4, 2, 1)])
@pytest.mark.parametrize("strip", ["auto", "exact", "spline"])
def test_ranked_attention_is_a_softmax_a_head(ranks: tuple[int, ...], strip: str) -> None:
    torch.manual_seed(1)
    module = RankedCrossAttention(12, 10, ranks, strip).double()
    query, memory = torch.randn(2, 6, 5, 12).double(), torch.randn(2, 4, 3, 10).double()
    values = (memory.reshape(2, 12, 10) @ module.v.weight.T).split(4, -1)
    parts, first = [], 0
    for rank, v in zip(ranks, values, strict=True):
        logits = torch.zeros(2, 30, 12).double()
        for channel in range(first, first + rank):
            q = query.reshape(2, 30, 12) @ module.q.weight[channel]
            k = memory.reshape(2, 12, 10) @ module.k.weight[channel]
            logits = logits + rank**-0.5 * q[:, :, None] * k[:, None]
        first += rank
        parts.append(torch.softmax(logits, -1) @ v)
    expected = torch.cat(parts, -1) @ module.out.weight.T + module.out.bias
    torch.testing.assert_close(module(query, memory), expected.view(2, 6, 5, 12), rtol=1e-6, atol=1e-7)


def test_ranks_that_do_not_fall_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ranks \[1, 2\]: numbers from 0 on, none larger than the one before"):
        RankedCrossAttention(8, 8, [1, 2])
