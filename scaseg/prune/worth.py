"""What a channel is worth, by one of two measures.

taylor: how much the loss of an image with its mask moves where the channel is set to zero, to first order: the sum of
w dL/dw over the weights that read the channel, its size averaged over images (Molchanov et al., CVPR 2019, who square
it). l2: the root of the sum of squares of its weights, as a share of the mean of its layer's, without any image.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from scaseg.data.datasets import TrainBatch
from scaseg.models.segmentor import Segmentor
from scaseg.prune.widths import Width, blocks_of_stages

Loss = Callable[[Tensor, Tensor], Tensor]


def by_taylor(segmentor: Segmentor, widths: Sequence[Width], loss: Loss, batches: Iterable[TrainBatch]) -> list[Tensor]:
    """Of each width (heads, channels), in float64; batches: of one image each, in evaluation mode."""
    named = dict(segmentor.named_parameters())
    read = [[named[name] for name in width.read] for width in widths]
    weights = [weight for of_width in read for weight in of_width]
    scores = [torch.zeros(width.heads * width.channels, dtype=torch.float64) for width in widths]
    number = 0
    for weight in weights:
        weight.requires_grad_(True)
    try:
        for batch in batches:
            found = torch.autograd.grad(_loss(segmentor, loss, batch), weights)
            gradients = iter(found)
            for score, of_width in zip(scores, read, strict=True):
                products = [w.detach().double() * next(gradients).double() for w in of_width]
                score += torch.stack([one.transpose(0, 1).flatten(1).sum(1) for one in products]).sum(0).abs().cpu()
            number += 1
    finally:
        for weight in weights:
            weight.requires_grad_(False)
    return [(score / number).view(width.heads, -1) for score, width in zip(scores, widths, strict=True)]


def by_l2(segmentor: Segmentor, widths: Sequence[Width]) -> list[Tensor]:
    """The same by size."""
    tensors = segmentor.state_dict()
    found = []
    for width in widths:
        made = [tensors[name].flatten(1) for name in width.made if tensors[name].ndim > 1]
        read = [tensors[name].transpose(0, 1).flatten(1) for name in width.read]
        size = torch.cat([*made, *read], 1).double().norm(dim=1).cpu()
        found.append((size / size.mean().clamp(min=1e-300)).view(width.heads, -1))
    return found


@torch.no_grad()
def of_blocks(segmentor: Segmentor, loss: Loss, batches: Sequence[TrainBatch]) -> list[list[float]]:
    """Of each block of the encoder, a list a stage: how much the loss of an image moves without it, in mean."""
    own = [_loss(segmentor, loss, batch) for batch in batches]
    found = []
    for blocks in blocks_of_stages(segmentor.encoder):
        of_stage = []
        for block in blocks:
            hook = block.register_forward_hook(lambda module, inputs, output: inputs[0])
            without = [_loss(segmentor, loss, batch) for batch in batches]
            hook.remove()
            moved = [float((a - b).abs()) for a, b in zip(without, own, strict=True)]
            of_stage.append(sum(moved) / len(moved))
        found.append(of_stage)
    return found


def _loss(segmentor: Segmentor, loss: Loss, batch: TrainBatch) -> Tensor:
    device = segmentor.mean.device
    return loss(segmentor(batch["image"].to(device)), batch["mask"].to(device))
