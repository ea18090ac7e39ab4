"""The decoder of VWFormer (Yan et al., ICLR 2024): windows attend to contexts of varying size around them.

The map of stage 2's size is cut into 8 x 8 windows of p x p pixels. B batch, E width, r a context's size in windows.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.classifier import classifier_of
from scaseg.models.layers.conv_norm import ConvNorm
from scaseg.models.layers.init import init_weights
from scaseg.models.layers.resize import resize

GRID = 8  # windows along each side
CONTEXTS = (2, 4, 8)
WIDE = ("mscan_t", "mscan_s", "mscan_b", "lvt", "mit_b2", "mit_b3", "mit_b4", "mit_b5")
PRINTED_PLAIN = ("lvt", "mscan_t")  # what is printed for these on Cityscapes is the plain head
LOW_LEVEL = 48  # channels that stage 1 contributes
FORMS = ("plain", "city")


class WindowAttention(nn.Module):
    """Every window attends to the r x r windows' worth of pixels around it, folded to the window's own size.

    Folding keeps the cost: the map is first narrowed to E / r^2 channels, then each r x r cell becomes E channels.
    normed_output: a 1x1 convolution and a BatchNorm that starts at zero (the plain form), else a linear.
    """

    def __init__(self, channels: int, context: int, heads: int, normed_output: bool) -> None:
        super().__init__()
        self.context = context
        self.heads = heads
        self.narrow = ConvNorm(channels, channels // context**2, context)
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.out = nn.Conv2d(channels, channels, 1, bias=not normed_output)
        self.norm = nn.BatchNorm2d(channels) if normed_output else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, E, H, W), sides multiples of 16 -> the same shape."""
        query = self._heads(self.q(_windows(x, 1)))
        contexts = _windows(
            _shift_padded(_shift_padded(self._narrowed(x), 3, self.context), 2, self.context), self.context
        )
        key, value = self._heads(self.k(contexts)), self._heads(self.v(contexts))
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        out: Tensor = self.norm(self.out(_from_windows(attended, x.shape)))
        return out

    def _narrowed(self, x: Tensor) -> Tensor:
        before, after = self.context // 2 - 1, self.context // 2
        narrowed: Tensor = self.narrow(F.pad(x, (before, after, before, after)))
        return narrowed

    def _heads(self, x: Tensor) -> Tensor:
        """(windows, pixels, E) -> (windows, heads, pixels, E / heads)."""
        heads: Tensor = x.unflatten(-1, (self.heads, -1))
        return heads.transpose(1, 2)


def _shift_padded(x: Tensor, dim: int, context: int) -> Tensor:
    """Lengthen an axis by (r - 1) p / 2 at each end with pixels from further inside, not with zeros."""
    side = x.shape[dim]
    window = side // GRID
    margin = (context - 1) * window // 2
    before = x.narrow(dim, context * window - margin, margin)
    after = x.narrow(dim, side - context * window, margin)
    return torch.cat([before, x, after], dim)


def _windows(x: Tensor, context: int) -> Tensor:
    """The 8 x 8 windows of r p x r p pixels, each r x r cell folded: (B, c, ., .) -> (B * 64, p * p, r * r * c)."""
    height, width = ((side // (GRID + context - 1)) for side in x.shape[2:])  # p: the map has 8 + r - 1 of them
    cut: Tensor = x.unfold(2, context * height, height).unfold(3, context * width, width)
    cells: Tensor = cut.unflatten(-1, (width, context)).unflatten(-3, (height, context))  # B c 8 8 p r p r
    return cells.permute(0, 2, 3, 4, 6, 5, 7, 1).reshape(x.shape[0] * GRID**2, height * width, -1)


def _from_windows(x: Tensor, shape: torch.Size) -> Tensor:
    """(B * 64, p * p, heads, E / heads) -> the map (B, E, H, W) of `shape`."""
    batch, channels, height, width = shape
    cells = x.reshape(batch, GRID, GRID, height // GRID, width // GRID, channels)
    return cells.permute(0, 5, 1, 3, 2, 4).reshape(shape)


def head_of(
    backbone: str,
    query_pool: int,
    form: str | None = None,
    embed_channels: int | None = None,
    heads: int | None = None,
) -> tuple[str, int, int]:
    """Form, width and attention heads: those that are given, else what is published for an encoder and dataset.

    query_pool: 2 stands for Cityscapes, whose head has width 256. For MiT-B2 to B5 at 512 x 512 no configuration is
    public: 256 as well.
    """
    cityscapes = query_pool == 2
    form = form or ("city" if cityscapes and backbone not in PRINTED_PLAIN else "plain")
    width = embed_channels or (256 if cityscapes or backbone in WIDE else 128)
    return form, width, heads or (16 if form == "city" else 1)


class VWFormerDecoder(nn.Module):
    """Four encoder maps (B, C_i, H / s_i, W / s_i), s = 4, 8, 16, 32 -> logits (B, K, H / 4, W / 4).

    form: `plain`, or `city`, the Cityscapes head (normed projections, nearest resizing to stage 2, no global branch,
    no shortcut around the attention). Form, embed_channels and heads that are not given: see `head_of`. Where stage
    2's sides are no multiples of 16, which the published code refuses, its edge is repeated up to them. Raises
    ValueError where embed_channels is no multiple of 64 and heads.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        embed_channels: int | None = None,
        form: str | None = None,
        heads: int | None = None,
        dropout: float = 0.1,
        backbone: str = "",
        query_pool: int = 1,
        classifier: str = "conv",
    ) -> None:
        super().__init__()
        form, embed_channels, heads = head_of(backbone, query_pool, form, embed_channels, heads)
        if form not in FORMS:
            raise ValueError(f"decoder.form={form!r}: choose one of {', '.join(FORMS)}")
        if heads < 1 or embed_channels < 1 or embed_channels % 64 or embed_channels % heads:
            raise ValueError(
                f"decoder.embed_channels={embed_channels}: a multiple of 64 (the largest context folds 8 x 8 cells) "
                f"and of decoder.heads={heads}"
            )
        self.city = form == "city"
        widths = (LOW_LEVEL, embed_channels, embed_channels, embed_channels)
        self.project = nn.ModuleList(
            ConvNorm(channels, width) if self.city else nn.Conv2d(channels, width, 1)
            for channels, width in zip(in_channels, widths, strict=True)
        )
        self.fuse = ConvNorm(3 * embed_channels, embed_channels)
        self.local = ConvNorm(embed_channels, embed_channels)
        self.globally = None if self.city else ConvNorm(embed_channels, embed_channels)
        self.attentions = nn.ModuleList(
            WindowAttention(embed_channels, context, heads, not self.city) for context in CONTEXTS
        )
        branches = len(CONTEXTS) + (1 if self.city else 2)
        self.mix = ConvNorm(branches * embed_channels, embed_channels)
        self.low_level = ConvNorm(embed_channels + LOW_LEVEL, embed_channels)
        self.apply(init_weights)
        for attention in self.attentions:
            if isinstance(attention.norm, nn.BatchNorm2d):
                nn.init.zeros_(attention.norm.weight)
        self.classifier = classifier_of(classifier, embed_channels, num_classes, dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        low, middle, *deep = (project(x) for project, x in zip(self.project, features, strict=True))
        deep = [self._to(x, middle.shape[2:]) for x in deep]
        fused = self.fuse(torch.cat([deep[1], deep[0], middle], 1))
        branches = [self.local(fused)]
        if self.globally is not None:
            branches.append(self.globally(F.adaptive_avg_pool2d(fused, 1)).expand_as(fused))
        height, width = fused.shape[2:]
        even = fused
        if height % (2 * GRID) or width % (2 * GRID):
            even = F.pad(fused, (0, -width % (2 * GRID), 0, -height % (2 * GRID)), mode="replicate")
        for attention in self.attentions:
            attended = attention(even)[:, :, :height, :width]
            branches.append(attended if self.city else attended + fused)
        mixed = resize(self.mix(torch.cat(branches, 1)), low.shape[2:])
        logits: Tensor = self.classifier(self.low_level(torch.cat([mixed, low], 1)))
        return logits

    def _to(self, x: Tensor, size: torch.Size) -> Tensor:
        return F.interpolate(x, size=size, mode="nearest") if self.city else resize(x, size)
