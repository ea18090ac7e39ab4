"""Whether an exported file computes what PyTorch does, at several sizes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.data.sizes import Size
from scaseg.errors import UserError
from scaseg.evaluation.inference import labels_at
from scaseg.exported.sessions import Run
from scaseg.form import RGB, Form
from scaseg.models.segmentor import Segmentor

SIZES = ((97, 131), (256, 320), (360, 480), (1024, 2048))
LOGITS = 1e-4  # largest difference allowed in float32, or
ROUNDING = 1e-5  # this share of the largest logit: a hundred layers round, each by up to 6e-8 of what it holds
LABELS = 0.9999  # least share of equal labels


@dataclass
class Agreement:
    """At one size: batch, the largest difference of logits (None where the file gives labels), equal labels, and the
    difference allowed.
    """

    batch: int
    size: Size
    logits: float | None
    labels: float
    allowed: float = LOGITS

    def __str__(self) -> str:
        logits = "" if self.logits is None else f"logits differ by {self.logits:.1e} at the most, "
        return f"{self.batch} x {self.size[0]} x {self.size[1]}: {logits}{100 * self.labels:.4f} % of labels equal"


def compare(
    run: Run,
    segmentor: Segmentor,
    output: str,
    sizes: Sequence[Size] = SIZES,
    form: Form = RGB,
    labelled: Callable[[Tensor, Size], Tensor] = labels_at,
) -> list[Agreement]:
    """Run both on made-up pictures of the form, the first size as a batch of two. labelled: labels of logits."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for number, size in enumerate(sizes):
        images = picture(2 if number == 0 else 1, size, generator, form)
        with torch.inference_mode():
            logits = segmentor(images)
            labels = labelled(logits, size)
        try:
            theirs = torch.from_numpy(np.asarray(run(images.numpy())))
        except Exception as error:  # onnxruntime's own and torch's have no common class
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"the file does not run on {len(images)} x {size[0]} x {size[1]} ({first}): nothing was written"
            ) from error
        difference = None
        if output == "logits":
            _same_shape(theirs, logits, size)
            difference = (theirs - logits).abs().max().item()
            theirs = labelled(theirs, size)
        _same_shape(theirs, labels, size)
        equal = (theirs == labels).double().mean().item()
        allowed = max(LOGITS, ROUNDING * logits.abs().max().item())
        found.append(Agreement(images.shape[0], size, difference, equal, allowed))
    return found


def require(found: Sequence[Agreement], what: str) -> None:
    """Raise UserError where one does not agree; nan does not."""
    for one in found:
        if not one.labels >= LABELS or (one.logits is not None and not one.logits <= one.allowed):
            raise UserError(
                f"{what} does not compute what PyTorch does ({one}; allowed {one.allowed:.1e} and {100 * LABELS} %):"
                " nothing was written"
            )


def picture(batch: int, size: Size, generator: torch.Generator, form: Form = RGB) -> Tensor:
    """Made-up pictures (B, C, H, W): patches of colour with soft edges and fine noise, whole numbers 0..255.

    Of another form than RGB the same, moved and scaled to the channels' mean and deviation.
    """
    channels = form.channels
    coarse = F.interpolate(torch.rand(batch, channels, 6, 8, generator=generator), size=size, mode="bilinear")
    fine = torch.rand(batch, channels, *size, generator=generator)
    made = ((coarse * 1.6 - 0.3).clamp(0, 1) * 215 + fine * 40).floor()
    if form.is_rgb or form.mean is None or form.std is None:
        return made
    mean, std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (form.mean, form.std))
    return mean + std * (made - 128) / 64


def _same_shape(theirs: Tensor, ours: Tensor, size: Size) -> None:
    if theirs.shape != ours.shape:
        raise UserError(
            f"the exported file gives {tuple(theirs.shape)} for images of {size[0]} x {size[1]}, PyTorch"
            f" {tuple(ours.shape)}: nothing was written"
        )
