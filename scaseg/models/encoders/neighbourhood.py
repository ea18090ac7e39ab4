"""Neighbourhood attention (Hassani et al., CVPR 2023) in tiles: ordinary attention with a bias, no kernel of its own.

A query attends to the k x k window around it, moved inside where it would leave the map. The queries of a tile need no
keys but those of a patch that is k - 1 larger; outside each query's own window the bias is minus infinity. Tiles away
from the border are all alike, so few biases serve them all.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE = 16


@dataclass(frozen=True)
class Run:
    """Tiles along one axis, one after the other, that see their keys alike.

    offset (tile, patch): of a key against a query, + k - 1, as the bias table is indexed; inside: whether the key is
    in the query's window.
    """

    tiles: int
    queries: int  # where the first tile starts
    tile: int
    keys: int  # where its patch starts
    patch: int
    offset: npt.NDArray[np.int64]  # not tensors: what is kept must not remember the mode it was made in
    inside: npt.NDArray[np.bool_]


@cache
def runs_along(length: int, window: int) -> tuple[Run, ...]:
    """The runs of an axis; where it is shorter than the window, all of it is the window."""
    seen = min(window, length)
    found: list[Run] = []
    for first in range(0, length, TILE):
        query = np.arange(first, min(first + TILE, length))
        start = (query - seen // 2).clip(0, length - seen)
        key = np.arange(start[0], start[-1] + seen)
        inside = (key >= start[:, None]) & (key < start[:, None] + seen)
        offset = (key - query[:, None] + window - 1).clip(0, 2 * window - 2)
        run = Run(1, first, len(query), int(key[0]), len(key), offset, inside)
        last = found[-1] if found else None
        if last and np.array_equal(last.offset, offset) and np.array_equal(last.inside, inside):
            found[-1] = Run(last.tiles + 1, last.queries, last.tile, last.keys, last.patch, offset, inside)
        else:
            found.append(run)
    return tuple(found)


class NeighbourhoodAttention(nn.Module):
    """Attention of each pixel over its k x k neighbours, with a learned bias for each offset."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """query (scaled), key, value (B, H, W, heads, d), bias (heads, 2k - 1, 2k - 1) -> (B, H, W, heads, d)."""
        rows, columns = (runs_along(side, self.window) for side in query.shape[1:3])
        return torch.cat([torch.cat([_attend(query, key, value, bias, r, c) for c in columns], 2) for r in rows], 1)

    def multiply_adds(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> int:
        """Two for each key of the window and channel; the keys beside it, which tiles pay for too, do not count."""
        neighbours = min(self.window, query.shape[1]) * min(self.window, query.shape[2])
        return 2 * neighbours * query.numel()


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, rows: Run, columns: Run) -> Tensor:
    """The part of the output that the tiles of two runs are."""
    batch, _, _, heads, channels = query.shape

    def cut(x: Tensor, first: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """Patches of `size`, TILE apart, from `first` on, as (B * tiles, heads, pixels, d)."""
        patches = x
        for axis, run, start, side in zip((1, 2), (rows, columns), first, size, strict=True):
            patches = patches.narrow(axis, start, (run.tiles - 1) * TILE + side).unfold(axis, side, TILE)
        return patches.permute(0, 1, 2, 3, 5, 6, 4).reshape(-1, heads, size[0] * size[1], channels)

    patch = (rows.keys, columns.keys), (rows.patch, columns.patch)
    attended = F.scaled_dot_product_attention(
        cut(query, (rows.queries, columns.queries), (rows.tile, columns.tile)),
        cut(key, *patch),
        cut(value, *patch),
        _bias(bias, rows, columns).to(query.dtype).expand(batch * rows.tiles * columns.tiles, -1, -1, -1),
        scale=1.0,
    )
    tiled = attended.view(batch, rows.tiles, columns.tiles, heads, rows.tile, columns.tile, channels)
    return tiled.permute(0, 1, 4, 2, 5, 3, 6).flatten(3, 4).flatten(1, 2)


def _bias(table: Tensor, rows: Run, columns: Run) -> Tensor:
    """(heads, 2k - 1, 2k - 1) -> (1, heads, tile pixels, patch pixels)."""
    offsets = [torch.from_numpy(run.offset).to(table.device) for run in (rows, columns)]
    picked = table.index_select(1, offsets[0].flatten()).index_select(2, offsets[1].flatten())
    bias: Tensor = picked.unflatten(2, columns.offset.shape)
    bias = bias.unflatten(1, rows.offset.shape).transpose(2, 3)
    inside = torch.from_numpy(rows.inside[:, None, :, None] & columns.inside[None, :, None, :])
    bias = bias.masked_fill(~inside.to(table.device), float("-inf"))
    return bias.flatten(3, 4).flatten(1, 2).unsqueeze(0)
