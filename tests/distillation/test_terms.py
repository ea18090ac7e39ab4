"""Soft labels and channel-wise distillation against plain float64 readings of their equations."""

from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scaseg.distillation.channel_wise import ChannelWise, channel_wise_loss
from scaseg.distillation.soft_labels import SoftLabels, soft_label_loss

sizes = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))


def pair(size: tuple[int, ...], seed: int, spread: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = spread * torch.randn(2, *size, generator=generator, dtype=torch.float64)
    return student.requires_grad_(), teacher


def divergence(teacher: list[float], student: list[float], temperature: float) -> float:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), a number at a time."""
    p, q = ([exp(x / temperature) for x in values] for values in (teacher, student))
    p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
    return temperature**2 * sum(a * (log(a) - log(b)) for a, b in zip(p, q, strict=True))


@given(size=sizes, seed=st.integers(0, 99), temperature=st.sampled_from([0.5, 1.0, 4.0]))
@settings(max_examples=30, deadline=None)
def test_soft_labels_are_the_divergence_over_classes_at_each_pixel(
    size: tuple[int, int, int, int], seed: int, temperature: float
) -> None:
    student, teacher = pair(size, seed, 3.0)
    images, _, height, width = size
    pixels = [(b, y, x) for b in range(images) for y in range(height) for x in range(width)]
    expected = sum(
        divergence(teacher[b, :, y, x].tolist(), student[b, :, y, x].tolist(), temperature) for b, y, x in pixels
    )
    found = soft_label_loss(student, teacher, temperature)
    assert float(found.detach()) == pytest.approx(expected / len(pixels), rel=1e-9, abs=1e-12)
    assert torch.autograd.gradcheck(lambda own: soft_label_loss(own, teacher, temperature), student)


@given(size=sizes, seed=st.integers(0, 99), temperature=st.sampled_from([0.5, 1.0, 4.0]))
@settings(max_examples=30, deadline=None)
def test_channel_wise_is_the_divergence_over_pixels_of_each_channel(
    size: tuple[int, int, int, int], seed: int, temperature: float
) -> None:
    student, teacher = pair(size, seed, 3.0)
    channels = [(b, c) for b in range(size[0]) for c in range(size[1])]
    expected = sum(
        divergence(teacher[b, c].flatten().tolist(), student[b, c].flatten().tolist(), temperature) for b, c in channels
    )
    found = channel_wise_loss(student, teacher, temperature)
    assert float(found.detach()) == pytest.approx(expected / len(channels), rel=1e-9, abs=1e-12)
    assert torch.autograd.gradcheck(lambda own: channel_wise_loss(own, teacher, temperature), student)


def test_who_is_the_teacher_costs_nothing_and_far_logits_are_finite() -> None:
    _, teacher = pair((2, 5, 4, 4), 0, 1.0)
    for loss in (soft_label_loss, channel_wise_loss):
        assert float(loss(teacher, teacher)) == pytest.approx(0, abs=1e-15)
        far = loss(torch.tensor([[[[1e4, -1e4]], [[-1e4, 1e4]]]]), torch.tensor([[[[-1e4, 1e4]], [[1e4, -1e4]]]]), 1.0)
        assert 1e4 < float(far) < 1e5


def test_maps_of_other_widths_pass_a_projection_that_learns() -> None:
    channels = {"logits": (3, 3), **{f"stage{i}": (4 * i, 8 * i) for i in (1, 2, 3)}, "stage4": (16, 16)}
    term = ChannelWise(channels, maps=["logits", "stage2", "stage4"])
    assert {name: tuple(p.shape) for name, p in term.named_parameters()} == {
        "projections.stage2.weight": (16, 8, 1, 1),
        "projections.stage2.bias": (16,),
    }
    own = {name: torch.randn(2, channels[name][0], 4, 4) for name in term.needs}
    its = {name: torch.randn(2, channels[name][1], 4, 4) for name in term.needs}
    loss = term(own, its)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in term.parameters())
    projected = {**own, "stage2": term.projections["stage2"](own["stage2"])}
    parts = [float(channel_wise_loss(projected[name], its[name]).detach()) for name in term.needs]
    assert float(loss.detach()) == pytest.approx(sum(parts), rel=1e-5)
    assert not list(SoftLabels(channels).parameters())


@pytest.mark.parametrize("maps", [[], ["stage5"], ["logits", "fused"]])
def test_maps_that_are_none_are_named(maps: list[str]) -> None:
    with pytest.raises(ValueError, match="one or more of logits, stage1"):
        ChannelWise({"logits": (3, 3)}, maps=maps)
