"""Parameters of the published code that its forward pass never uses: counted, never built.

SCASeg's code derives from U-MixFormer's; mmsegmentation's base head owns a classifier that heads with one of
their own leave dead. Derived in the paper's column and in each project's own statement of its size.
"""

from collections.abc import Sequence
from itertools import pairwise

from scaseg.models.decoders.vwformer import head_of
from scaseg.parts import Decoder

# Width of the unused 1x1 classifier (width -> K, with bias) that each head inherits.
DEAD_CLASSIFIER = {
    **{"scaseg": 256, "umixformer": 256, "feedformer": 256},
    **{"segformer": 128, "metaseg": 128, "edaformer": 128, "ccaseg": 128},
}


def unused_parameters(decoder: Decoder, channels: Sequence[int], num_classes: int) -> int:
    """Number of unused parameters in the published form of `decoder` over maps of `channels`.

    scaseg and umixformer also hold, for each stage, a 1x1 convolution T -> T with bias and, outside their
    Cityscapes block, a LayerNorm(T), T = sum of channels. ccaseg without stage 1 keeps two of its injections.
    """
    width = DEAD_CLASSIFIER.get(decoder.name, 0)
    unused = width * num_classes + num_classes if width else 0
    if decoder.name in ("scaseg", "umixformer"):
        total = sum(channels)
        norm = 2 * total if (decoder.option("query_pool") or 1) == 1 else 0
        unused += len(channels) * (total * total + total + norm)
    if decoder.name == "ccaseg" and decoder.option("first_stage") == 2:
        unused += sum(a * b + b * b + 4 * b for a, b in pairwise(channels[1:]))
    return unused


def idle_resize(decoder: Decoder, channels: Sequence[int], image_size: tuple[int, int]) -> int:
    """Cost, in the paper's convention, of resizing what needs none, as the published code of four decoders does.

    segnext and metaseg resize stage 2 to its own size; vwformer's plain form and segman spread one value of the whole
    map by a bilinear resize. Each costs 4 for each element.
    """
    if decoder.name in ("segnext", "metaseg"):
        width = channels[1]
    elif decoder.name == "segman":
        width = decoder.option("embed_channels")
    elif decoder.name == "vwformer":
        keys = ("form", "embed_channels", "heads")
        form, width, _ = head_of(
            str(decoder.option("backbone")), decoder.option("query_pool") or 1, *map(decoder.option, keys)
        )
        if form == "city":
            return 0
    else:
        return 0
    height, width_in_pixels = (-(-side // 8) for side in image_size)
    return 4 * int(width) * height * width_in_pixels


def as_published(decoder: Decoder) -> Decoder:
    """The form whose operations the paper counts: rewritings that keep the function undone."""
    literal = {"fuse": "literal", "strip": "exact"}
    return decoder.changed(**{key: value for key, value in literal.items() if key in decoder.values})


def as_built(decoder: Decoder) -> Decoder:
    """The form whose parameters the paper counts: its code builds all four blocks, used or not."""
    return decoder.changed(clb_stages=[4, 3, 2, 1]) if "clb_stages" in decoder.values else decoder
