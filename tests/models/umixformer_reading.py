"""A second reading of U-MixFormer's head, with the official names of its tensors and plain tensor code."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Attention(nn.Module):
    def __init__(self, width: int, total: int, heads: int, city: bool) -> None:
        super().__init__()
        self.heads, self.city = heads, city
        self.q, self.kv = nn.Linear(width, width, bias=False), nn.Linear(total, 2 * width, bias=False)
        self.proj = nn.Linear(width, width)
        if city:
            self.sr1, self.sr2 = nn.Conv2d(width, width, 1), nn.Conv2d(total, total, 1)
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(total)
        else:
            self.sr, self.norm = nn.Conv2d(total, total, 1), nn.LayerNorm(total)

    def forward(self, x: Tensor, y: Tensor, size: tuple[int, int]) -> Tensor:
        batch, _, width = x.shape
        if self.city:
            pooled = self.sr1(F.avg_pool2d(x.transpose(1, 2).reshape(batch, width, *size), 2))
            x, y = F.gelu(self.norm1(pooled.flatten(2).transpose(1, 2))), self.norm2(y)
        q = self.q(x).reshape(batch, -1, self.heads, width // self.heads).transpose(1, 2)
        kv = self.kv(F.gelu(y)).reshape(batch, -1, 2, self.heads, width // self.heads)
        k, v = kv[:, :, 0].transpose(1, 2), kv[:, :, 1].transpose(1, 2)
        weights = torch.softmax(q @ k.transpose(2, 3) * (width // self.heads) ** -0.5, -1)
        out: Tensor = self.proj((weights @ v).transpose(1, 2).reshape(batch, -1, width))
        if self.city:
            out = out.transpose(1, 2).reshape(batch, width, size[0] // 2, size[1] // 2)
            out = F.interpolate(out, size=size, mode="bilinear").flatten(2).transpose(1, 2)
        return out


class _Depthwise(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 3, padding=1, groups=width)


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.dwconv, self.fc2 = (
            nn.Linear(width, 4 * width),
            _Depthwise(4 * width),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        hidden = self.fc1(x).transpose(1, 2).unflatten(2, size)
        out: Tensor = self.fc2(F.gelu(self.dwconv.dwconv(hidden).flatten(2).transpose(1, 2)))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, total: int, heads: int, city: bool) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(total), nn.LayerNorm(width)
        self.attn, self.mlp = _Attention(width, total, heads, city), _Mlp(width)

    def forward(self, x: Tensor, y: Tensor, size: tuple[int, int]) -> Tensor:
        x = self.norm1(x)
        x = self.norm3(x + self.attn(x, self.norm2(y), size))
        out: Tensor = x + self.mlp(x, size)
        return out


class _CatKey(nn.Module):
    def __init__(self, widths: Sequence[int], ratios: Sequence[int]) -> None:
        super().__init__()
        self.ratios = ratios
        pooled = [width for width, ratio in zip(widths, ratios, strict=True) if ratio > 1]
        self.sr_list = nn.ModuleList(nn.Conv2d(width, width, 1) for width in pooled)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        convs = iter(self.sr_list)
        parts = [
            next(convs)(F.avg_pool2d(x, ratio, ceil_mode=True)) if ratio > 1 else x
            for x, ratio in zip(maps, self.ratios, strict=True)
        ]
        return torch.cat(parts, 1)


class _Fuse(nn.Module):
    def __init__(self, total: int, width: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(total, width, 1, bias=False), nn.BatchNorm2d(width)


class UMixFormerHead(nn.Module):
    """widths: C_1..C_4; city: the Cityscapes head."""

    def __init__(self, widths: Sequence[int], num_classes: int, embed: int, city: bool) -> None:
        super().__init__()
        total, coarse_first = sum(widths), list(reversed(widths))
        ratios = [ratio * (2 if city else 1) for ratio in (1, 2, 4, 8)]
        for number, (width, heads) in enumerate(zip(coarse_first, (8, 5, 2, 1), strict=True), 1):
            self.add_module(f"attn_c{5 - number}", _Block(width, total, heads, city))
            self.add_module(f"cat_key{number}", _CatKey(coarse_first, ratios))
        self.linear_fuse = _Fuse(total, embed)
        self.linear_pred = nn.Conv2d(embed, num_classes, 1)
        self.conv_seg = nn.Conv2d(256, num_classes, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        maps = list(reversed(features))  # 4, 3, 2, 1
        for number in (1, 2, 3, 4):
            x = maps[number - 1]
            key = getattr(self, f"cat_key{number}")(maps).flatten(2).transpose(1, 2)
            size = (x.shape[2], x.shape[3])
            tokens = getattr(self, f"attn_c{5 - number}")(x.flatten(2).transpose(1, 2), key, size)
            maps[number - 1] = tokens.transpose(1, 2).unflatten(2, size)
        finest = maps[3].shape[2:]
        joined = torch.cat([F.interpolate(x, size=finest, mode="bilinear") for x in maps], 1)
        out: Tensor = self.linear_pred(F.relu(self.linear_fuse.bn(self.linear_fuse.conv(joined))))
        return out
