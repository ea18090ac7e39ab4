"""Ours, filled, of the sizes that public_make.py builds the public ones of."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from scaseg.models.decoders.ccaseg import CCASegDecoder
from scaseg.models.decoders.edaformer import EDAFormerDecoder
from scaseg.models.encoders.eft import EFT
from tests.models.public_numbers import CHANNELS, CLASSES, filled, made

WIDTH = 16
CCASEG_FORMS = {"mit": (1, 3), "tiny": (2, 4), "small": (2, 3)}  # first stage, depth
EFT_WIDTHS, EFT_DEPTHS, EFT_RATIO = (16, 32, 64, 128), (1, 1, 2, 1), 3.8
REDUCED = {"": ((1, 1, 1, 1), (1, 1, 1)), " reduced": ((2, 2, 1, 1), (2, 2, 2))}  # of the encoder, of the decoder


class OnImages(nn.Module):
    """An encoder whose maps follow each other; its images are a pixel smaller than the maps that it is given allow."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        images = made("images", (1, 3, *(4 * side - 1 for side in features[0].shape[2:])))
        return torch.cat([x.flatten() for x in self.encoder(images)])


def ccaseg(form: str) -> nn.Module:
    """Weights are smaller than others': where maps are multiplied by each other, they run away with larger ones."""
    decoder = filled(CCASegDecoder(CHANNELS, CLASSES, WIDTH, *CCASEG_FORMS[form]))
    for parameter in decoder.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(0.7)
    return decoder


def edaformer(reduction: Sequence[int]) -> nn.Module:
    return filled(EDAFormerDecoder(CHANNELS, CLASSES, WIDTH, inference_reduction=reduction))


def eft(reduction: Sequence[int]) -> nn.Module:
    return OnImages(filled(EFT(EFT_WIDTHS, EFT_DEPTHS, mlp_ratio=EFT_RATIO, inference_reduction=reduction)))


BUILT: dict[str, Callable[[], nn.Module]] = {
    **{f"ccaseg {form}": (lambda form=form: ccaseg(form)) for form in CCASEG_FORMS},
    **{f"edaformer{name}": (lambda ratios=ratios: edaformer(ratios)) for name, (_, ratios) in REDUCED.items()},
    **{f"eft{name}": (lambda ratios=ratios: eft(ratios)) for name, (ratios, _) in REDUCED.items()},
}
