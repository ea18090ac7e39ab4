"""A model without channels answers as the one that has them at zero: before any training, to 1e-5."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scaseg.config import compose, run_config
from scaseg.models.build import build_segmentor
from scaseg.models.segmentor import Segmentor
from scaseg.prune.smaller import Kept, smaller_run, smaller_tensors
from scaseg.prune.widths import Width, widths_of
from scaseg.schema import Run

CLASSES = 5
MIT = ["backbone=mit_b0", "backbone.channels=[8,16,40,32]", "backbone.depths=[2,1,1,2]"]
MSCAN = ["backbone=mscan_t", "backbone.channels=[8,16,24,32]", "backbone.depths=[1,2,1,1]"]
OPTIONS = {
    "mit": MIT,
    "mscan, vanilla attention, coordinate attention": [*MSCAN, "decoder.attn=ca", "lpm=coord"],
    "self-attention": [*MIT, "decoder.attn=sa", "decoder.clb_stages=[4,3]"],
    "cityscapes": [*MSCAN, "decoder.query_pool=2", "decoder.qk_channels=2"],
    "ranks": [*MIT, "decoder.ranks=[[2,1,1,0,0,0,0,0],[1,1,1,1,0],[1,0],[0]]"],
    "eca, offset classifier": [*MIT, "lpm=eca", "classifier=offset", "decoder.clb_stages=[4,3]"],
    "no lpm, literal fuse": [*MSCAN, "lpm=none", "decoder.fuse=literal"],
    "timm": ["backbone=efficientnet_lite0", "decoder.clb_stages=[4]"],
    "timm's others": ["backbone=timm", "backbone.name=efficientvit_b0", "decoder.clb_stages=[4]"],
    "another decoder": [*MIT, "decoder=segformer"],
}


def model(*overrides: str) -> tuple[Run, Segmentor]:
    embed = [] if "decoder=segformer" in overrides else ["decoder.embed_channels=24", "decoder.drop_path=0"]
    run = run_config(compose("train", ["dataset=shapes", "backbone.drop_path=0", *embed, *overrides]))
    torch.manual_seed(0)
    segmentor = build_segmentor(run.backbone, run.decoder, CLASSES).eval().requires_grad_(False)
    for name, tensor in segmentor.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.startswith("decoder.") and tensor.dtype is torch.float32:
            tensor.add_(0.1 * torch.randn_like(tensor))
    return run, segmentor


def drawn(widths: Sequence[Width], seed: int) -> tuple[list[Kept], list[Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    scores = [torch.rand(width.heads, width.channels, generator=generator) for width in widths]
    numbers = [int(torch.randint(1, width.channels + 1, (), generator=generator)) for width in widths]
    return [Kept(width, number) for width, number in zip(widths, numbers, strict=True)], scores


def mask(segmentor: Segmentor, one: Kept, scores: Tensor) -> None:
    """Put the channels that are to go at zero where they are made."""
    going = torch.zeros(one.width.heads, one.width.channels, dtype=torch.bool)
    for head, of_head in enumerate(scores):
        for channel in range(one.width.channels):
            rank = int((of_head > of_head[channel]).sum())
            going[head, channel] = rank >= one.channels
    mask = ~going.flatten()

    def along(axis: int) -> Any:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            shape = [1] * output.ndim
            shape[axis] = -1
            return output * mask.view(shape)

        return hook

    place = one.width.place
    if one.width.key == "hidden_channels":
        block = [m for m in segmentor.encoder.modules() if type(m).__name__ == "InvertedResidual"][place[0]]
        block.bn2.register_forward_hook(along(1))
        return
    if one.width.part == "backbone":
        block = segmentor.encoder.get_submodule(f"block{place[0] + 1}.{place[1]}")
        block.mlp.dwconv.register_forward_hook(along(1))
        return
    if one.width.key == "embed_channels":
        norm = segmentor.decoder.fuse.norm
        norm.weight.data.mul_(mask)
        norm.bias.data.mul_(mask)
        norm.running_mean.mul_(mask)
        return
    block = list(segmentor.decoder.blocks.values())[place[0]]
    if one.width.key == "ffn_channels":
        block.ffn.depthwise.register_forward_hook(along(1))
    elif one.width.key == "lpm_channels":
        block.lpm.depthwise.register_forward_hook(along(1))
    else:
        getattr(block.attention, "attention", block.attention).v.register_forward_hook(along(-1))


def built(run: Run, tensors: dict[str, Tensor]) -> Segmentor:
    segmentor = build_segmentor(run.backbone, run.decoder, CLASSES).eval()
    segmentor.load_state_dict(tensors)
    return segmentor


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_smaller_model_is_the_masked_one(options: list[str]) -> None:
    run, segmentor = model(*options)
    widths, _ = widths_of(segmentor)
    kept, scores = drawn(widths, 1)
    smaller = built(smaller_run(run, kept), smaller_tensors(segmentor.state_dict(), kept, scores)).double()
    segmentor.double()  # so that nothing is rounded that logits of 1e-5 could show
    image = 255 * torch.rand(1, 3, 80, 112, dtype=torch.float64)
    with torch.no_grad():
        before, found = segmentor(image), smaller(image)
        for one, score in zip(kept, scores, strict=True):
            mask(segmentor, one, score)
        expected = segmentor(image)
    assert (expected - before).abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    again, _ = widths_of(smaller)
    assert [one.channels for one in again] == [one.channels for one in kept]  # and can be pruned once more


def test_a_block_goes_whole() -> None:
    run, segmentor = model(*MIT)
    widths, _ = widths_of(segmentor)
    kept, scores = drawn(widths, 2)
    kept = [replace(one, channels=0) if one.width.place in ((0, 0), (3, 1)) else one for one in kept]
    of_smaller = smaller_run(run, kept)
    assert of_smaller.backbone.option("depths") == [1, 1, 1, 1]
    smaller = built(of_smaller, smaller_tensors(segmentor.state_dict(), kept, scores))
    image = 255 * torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        found = smaller(image)
        for one, score in zip(kept, scores, strict=True):
            if one.channels:
                mask(segmentor, one, score)
        for name in ("block1.0", "block4.1"):
            block = segmentor.encoder.get_submodule(name)
            block.register_forward_hook(lambda module, inputs, output: inputs[0])
        torch.testing.assert_close(found, segmentor(image), rtol=0, atol=1e-5)


def test_all_channels_are_the_configuration_itself() -> None:
    run, segmentor = model(*MIT)
    widths, _ = widths_of(segmentor)
    kept = [Kept(width, width.channels) for width in widths]
    assert smaller_run(run, kept) == run
    scores = [torch.rand(width.heads, width.channels) for width in widths]
    tensors = smaller_tensors(segmentor.state_dict(), kept, scores)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in segmentor.state_dict().items())


@pytest.mark.parametrize(
    ("options", "keys", "notes"),
    [
        ("mit", {"backbone.ffn", "decoder.ffn", "decoder.lpm", "decoder.value", "decoder.embed"}, []),
        ("eca, offset classifier", {"backbone.ffn", "decoder.ffn", "decoder.value"}, ["the LPMs", "the fused map"]),
        ("timm", {"backbone.hidden", "decoder.ffn", "decoder.lpm", "decoder.value", "decoder.embed"}, []),
        ("timm's others", {"decoder.ffn", "decoder.lpm", "decoder.value", "decoder.embed"}, ["the encoder (TimmEnc"]),
        ("another decoder", {"backbone.ffn"}, ["the decoder (SegFormerDecoder)"]),
    ],
)
def test_what_can_be_smaller_is_found_and_the_rest_is_said(options: str, keys: set[str], notes: list[str]) -> None:
    widths, told = widths_of(model(*OPTIONS[options])[1])
    assert {f"{one.part}.{one.key.removesuffix('_channels')}" for one in widths} == keys
    assert len(told) == len(notes)
    assert all(one.startswith(start) for one, start in zip(told, notes, strict=True))
