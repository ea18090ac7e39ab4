"""What channels are worth, against plain readings."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.data.datasets import TrainBatch
from scaseg.models.segmentor import Segmentor
from scaseg.prune.widths import Width, losses, order, widths_of
from scaseg.prune.worth import by_l2, by_taylor, of_blocks
from tests.prune.test_smaller import CLASSES, MIT, MSCAN, model


def loss(logits: Tensor, masks: Tensor) -> Tensor:
    resized = F.interpolate(logits, size=masks.shape[1:], mode="bilinear")
    return F.cross_entropy(resized, masks.long(), ignore_index=255)


def batches(number: int) -> list[TrainBatch]:
    generator = torch.Generator().manual_seed(5)
    images = [255 * torch.rand(1, 3, 48, 64, generator=generator).double() for _ in range(number)]
    masks = [torch.randint(0, CLASSES, (1, 48, 64), generator=generator).to(torch.uint8) for _ in range(number)]
    return [{"image": image, "mask": mask} for image, mask in zip(images, masks, strict=True)]


def reader(segmentor: Segmentor, width: Width) -> tuple[nn.Module, bool, int]:
    """A module, whether it is its input that has the channels or its output, and along which axis."""
    place = width.place
    if width.part == "backbone":
        block = segmentor.encoder.get_submodule(f"block{place[0] + 1}.{place[1]}")
        return block.mlp.fc2, True, -1 if isinstance(block.mlp.fc2, nn.Linear) else 1
    if width.key == "embed_channels":
        return segmentor.decoder.classifier, True, 1
    block = list(segmentor.decoder.blocks.values())[place[0]]
    if width.key == "ffn_channels":
        return block.ffn.project, True, -1
    return (block.lpm.depthwise, False, 1) if width.key == "lpm_channels" else (block.attention.out, True, -1)


def gated(gate: Tensor, module: nn.Module, of_input: bool, axis: int) -> None:
    """Multiply each channel by its factor."""

    def times(x: Tensor) -> Tensor:
        shape = [1] * x.ndim
        shape[axis] = -1
        return x * gate.view(shape)

    if of_input:
        module.register_forward_pre_hook(lambda module, inputs: (times(inputs[0]),))
    else:
        module.register_forward_hook(lambda module, inputs, output: times(output))


@pytest.mark.parametrize("options", [MIT, [*MSCAN, "lpm=coord"]], ids=["mit", "mscan"])
def test_taylor_is_the_gradient_of_a_factor_on_the_channel(options: list[str]) -> None:
    """In mean over images of its size; factors are 1."""
    segmentor = model(*options)[1].double()
    widths, _ = widths_of(segmentor)
    seen = batches(2)
    found = by_taylor(segmentor, widths, loss, iter(seen))
    assert not any(parameter.requires_grad for parameter in segmentor.parameters())
    gates = [torch.ones(one.heads * one.channels, dtype=torch.float64, requires_grad=True) for one in widths]
    for width, gate in zip(widths, gates, strict=True):
        gated(gate, *reader(segmentor, width))
    gradients = [torch.autograd.grad(loss(segmentor(one["image"]), one["mask"]), gates) for one in seen]
    for width, scores, *of_images in zip(widths, found, *gradients, strict=True):
        expected = torch.stack(of_images).abs().mean(0).view(width.heads, -1)
        torch.testing.assert_close(scores, expected, rtol=1e-8, atol=1e-12, msg=lambda m, w=width: f"{w.in_words}: {m}")


def test_size_is_that_of_rows_and_columns() -> None:
    segmentor = model(*MIT)[1]
    widths, _ = widths_of(segmentor)
    scores = dict(zip([one.in_words for one in widths], by_l2(segmentor, widths), strict=True))
    ffn = segmentor.decoder.blocks["3"].ffn
    parts = [ffn.expand.weight.square().sum(1), ffn.depthwise.weight.square().sum((1, 2, 3))]
    size = (sum(parts) + ffn.project.weight.square().sum(0)).sqrt().double()
    torch.testing.assert_close(scores["decoder.ffn_channels[1]"][0], size / size.mean())
    assert all(score.mean() == pytest.approx(1) for score in scores.values())


def test_a_block_is_worth_what_the_loss_moves_without_it() -> None:
    segmentor = model(*MIT)[1].double()
    seen = batches(2)
    found = of_blocks(segmentor, loss, seen)
    assert [len(of_stage) for of_stage in found] == [2, 1, 1, 2]
    block = segmentor.encoder.get_submodule("block4.1")
    moved = []
    with torch.no_grad():
        for one in seen:
            whole = loss(segmentor(one["image"]), one["mask"])
            hooks = []
            for branch in (block.attn.proj, block.mlp.fc2):
                hooks.append(branch.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output)))
            moved.append(float((loss(segmentor(one["image"]), one["mask"]) - whole).abs()))
            for hook in hooks:
                hook.remove()
    assert found[3][1] == pytest.approx(sum(moved) / 2, rel=1e-9)


def test_losses_are_those_of_the_channels_that_go() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [0.5, 4.0, 0.25]])
    assert order(scores).tolist() == [[1, 2, 0], [2, 0, 1]]
    assert losses(scores) == pytest.approx([10.75, 3.75, 1.25, 0])
    assert all(a >= b for a, b in pairwise(losses(torch.rand(3, 20))))
