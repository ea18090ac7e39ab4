"""LVT's two attentions against a second, plain reading of their rules (encoders.md, section 1.3)."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.models.encoders.lvt import (
    LVT,
    ConvolutionalSelfAttention,
    RecursiveAtrousSelfAttention,
    overlap_add,
)
from tests.models.peers import randomise


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def plain_csa(csa, x):
    """Loops over images, window positions, heads and places within a window; x is (B, H, W, C)."""
    batch, height, width, channels = x.shape
    size = channels // csa.heads
    matrices = csa.weight.weight.view(9, channels, channels)
    total = torch.zeros_like(x)
    for b in range(batch):
        for row in range(math.ceil(height / 2)):
            for column in range(math.ceil(width / 2)):
                cells = x[b, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(-1, channels)
                weights = csa.attn(cells.mean(0)).view(csa.heads, 9, 9)
                weights = torch.softmax(weights * size**-0.5, dim=-1)
                places = [(2 * row + dy, 2 * column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
                inside = [0 <= y < height and 0 <= z < width for y, z in places]
                values = torch.zeros(9, channels, dtype=x.dtype)
                for p, (y, z) in enumerate(places):
                    if inside[p]:
                        values[p] = matrices[p] @ x[b, y, z]
                for p, (y, z) in enumerate(places):
                    if not inside[p]:
                        continue
                    for head in range(csa.heads):
                        part = slice(head * size, (head + 1) * size)
                        total[b, y, z, part] += weights[head, p] @ values[:, part]
    return csa.proj(total)


@pytest.mark.parametrize(("height", "width"), [(6, 8), (5, 6), (7, 5)])
def test_convolutional_self_attention_is_the_loop(height, width):
    csa = randomise(ConvolutionalSelfAttention(8, 2)).double()
    x = torch.randn(2, height, width, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(csa(x), plain_csa(csa, x))


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_overlap_add_is_fold(height, width):
    rows, columns = math.ceil(height / 2), math.ceil(width / 2)
    windows = torch.randn(2, rows, columns, 2, 9, 3, dtype=torch.float64)
    flat = windows.permute(0, 3, 5, 4, 1, 2).reshape(2, 54, rows * columns)
    folded = F.fold(flat, (height, width), 3, padding=1, stride=2)
    torch.testing.assert_close(overlap_add(windows, height, width), folded.permute(0, 2, 3, 1))


@pytest.mark.parametrize(("sr_ratio", "height", "width"), [(1, 4, 5), (2, 6, 4), (2, 5, 7)])
def test_recursive_atrous_attention_is_two_plain_steps(sr_ratio, height, width):
    rasa = randomise(RecursiveAtrousSelfAttention(8, 2, sr_ratio)).double()
    x = torch.randn(2, height, width, 8, dtype=torch.float64)

    def step(x):
        query = rasa.q(x).permute(0, 3, 1, 2)
        scales = 0
        for dilation in (1, 3, 5):
            padded = F.pad(query, (dilation,) * 4)
            response = torch.zeros_like(query)
            for i in range(3):
                for j in range(3):
                    shifted = padded[:, :, i * dilation : i * dilation + height, j * dilation : j * dilation + width]
                    response += rasa.ds.weight[:, 0, i, j].view(1, -1, 1, 1) * shifted
            scales = scales + response * torch.sigmoid(response)
        query = scales.flatten(2).unflatten(1, (2, 4))  # (B, heads, d, N)
        context = x
        if sr_ratio > 1:
            context = rasa.norm(rasa.sr(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        key, value = rasa.kv(context).flatten(1, 2).chunk(2, dim=-1)
        key, value = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in (key, value))
        weights = torch.softmax(query.transpose(2, 3) @ key.transpose(2, 3) / 2, dim=-1)  # sqrt(d) = 2
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        return rasa.proj(mixed).unflatten(1, (height, width))

    with torch.no_grad():
        first = F.silu(step(x)) + x
        torch.testing.assert_close(rasa(x), F.silu(step(first)))


def test_initial_weights_of_the_value_matrices_follow_the_rule():
    torch.manual_seed(0)
    weight = LVT().backbone[0][1][0].attn.weight.weight.detach()
    assert float(weight.std()) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
