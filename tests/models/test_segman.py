"""SegMAN's scan, neighbourhood attention and mixer against their definitions, read one step at a time."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scaseg.complexity.latency import interleaved
from scaseg.models.encoders.linear_scan import doubled, linear_scan, looped, paired
from scaseg.models.encoders.mscan import MSCAN
from scaseg.models.encoders.neighbourhood import NeighbourhoodAttention
from scaseg.models.encoders.segman import Rotary, SegMAN, TokenMixer
from scaseg.models.encoders.selective_scan_2d import SelectiveScan2d
from scaseg.models.encoders.weights import load_encoder_weights
from tests.models.peers import randomise

FORMS = {"looped": looped, "doubled": doubled, "paired": paired, "public": linear_scan}
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 2), st.integers(1, 7), st.integers(1, 3))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def sequential(decay: Tensor, value: Tensor, reverse: bool) -> Tensor:
    """One step after the other over the whole sequence."""
    length, _, chunks, _ = value.shape
    order = [(t, n) for n in range(chunks) for t in range(length)]
    state, states = torch.zeros_like(value[0, :, 0]), {}
    for t, n in reversed(order) if reverse else order:
        state = decay[t, :, n] * state + value[t, :, n]
        states[t, n] = state
    return torch.stack([torch.stack([states[t, n] for n in range(chunks)], 1) for t in range(length)])


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15, deadline=None)
@given(SIZES, st.booleans(), st.integers(0, 99))
def test_scan_is_the_sequential_one(form: str, size: tuple[int, ...], reverse: bool, seed: int) -> None:
    torch.manual_seed(seed)
    decay = torch.rand(size, dtype=torch.float64).requires_grad_()
    value = torch.randn(size, dtype=torch.float64).requires_grad_()
    expected = sequential(decay, value, reverse)
    weight = torch.randn_like(expected)
    gradients = torch.autograd.grad((expected * weight).sum(), (decay, value))
    if form == "public":
        found = linear_scan(decay, value, reverse)
        for ours, theirs in zip(torch.autograd.grad((found * weight).sum(), (decay, value)), gradients, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    else:
        found = FORMS[form](decay.detach(), value.detach(), reverse)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_the_scan_and_of_its_gradient(reverse: bool) -> None:
    decay, value = (torch.rand(4, 1, 3, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: linear_scan(a, b, reverse), (decay, value))
    assert torch.autograd.gradgradcheck(lambda a, b: linear_scan(a, b, reverse), (decay, value))


@pytest.mark.parametrize("form", ["looped", "doubled"])
def test_scan_over_16384_steps_keeps_single_precision(form: str) -> None:
    """Decays from nothing to nearly one, as the trained range of delta gives them."""
    decay = torch.exp(-torch.logspace(-4, 2, 8)).expand(128, 1, 128, 8).contiguous()
    value = torch.randn(128, 1, 128, 8)
    exact = looped(decay.double(), value.double(), False)
    error = (FORMS[form](decay, value, False) - exact).abs().amax((0, 1, 2)) / exact.abs().amax((0, 1, 2))
    assert error.max() < 2e-5


def by_definition(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, window: int) -> Tensor:
    """Every pixel on its own; query (B, H, W, heads, d)."""
    height, width = query.shape[1:3]
    rows, columns = min(window, height), min(window, width)
    out = torch.zeros_like(value)
    for i in range(height):
        for j in range(width):
            top = min(max(i - rows // 2, 0), height - rows)
            left = min(max(j - columns // 2, 0), width - columns)
            keys = key[:, top : top + rows, left : left + columns]
            values = value[:, top : top + rows, left : left + columns]
            logits = torch.einsum("bhd,bxyhd->bhxy", query[:, i, j], keys)
            a, b = top - i + window - 1, left - j + window - 1
            logits = logits + bias[:, a : a + rows, b : b + columns]
            weights = logits.flatten(2).softmax(-1).view(logits.shape)
            out[:, i, j] = torch.einsum("bhxy,bxyhd->bhd", weights, values)
    return out


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 37), st.integers(1, 37), st.sampled_from([3, 7, 11]), st.integers(0, 99))
def test_neighbourhood_attention_is_what_its_definition_says(height: int, width: int, window: int, seed: int) -> None:
    torch.manual_seed(seed)
    query, key, value = torch.randn(3, 1, height, width, 2, 4, dtype=torch.float64)
    bias = torch.randn(2, 2 * window - 1, 2 * window - 1, dtype=torch.float64)
    found = NeighbourhoodAttention(window)(query, key, value, bias)
    torch.testing.assert_close(found, by_definition(query, key, value, bias, window), rtol=1e-10, atol=1e-10)


def test_gradients_of_neighbourhood_attention() -> None:
    inputs = [x.requires_grad_() for x in torch.randn(3, 2, 18, 17, 1, 2, dtype=torch.float64)]
    bias = torch.randn(1, 5, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 18, 17, 1, 2, dtype=torch.float64)
    ours = torch.autograd.grad((NeighbourhoodAttention(3)(*inputs, bias) * weight).sum(), [*inputs, bias])
    theirs = torch.autograd.grad((by_definition(*inputs, bias, 3) * weight).sum(), [*inputs, bias])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def scanned(module: SelectiveScan2d, x: Tensor) -> Tensor:
    """Four orders of the pixels, one scan each, put back in place and added."""
    batch, channels, height, width = x.shape
    pixels = torch.arange(height * width).view(height, width)
    orders = [pixels.flatten(), pixels.T.flatten(), pixels.flatten().flip(0), pixels.T.flatten().flip(0)]
    total = torch.zeros_like(x).flatten(2)
    for k, order in enumerate(orders):
        u = x.flatten(2)[:, :, order]
        projected = torch.einsum("dc,bcl->bdl", module.x_proj_weight.view(4, -1, channels)[k], u)
        steps, b, c = projected[:, : module.rank], projected[:, -2], projected[:, -1]
        delta = F.softplus(
            torch.einsum("cr,brl->bcl", module.dt_projs_weight[k], steps) + module.dt_projs_bias[k][:, None]
        )
        a = -torch.exp(module.A_logs.view(4, channels)[k])[:, None]
        state = torch.zeros(batch, channels, dtype=x.dtype)
        for t, pixel in enumerate(order):
            state = torch.exp(delta[:, :, t] * a[:, 0]) * state + delta[:, :, t] * b[:, None, t] * u[:, :, t]
            total[:, :, pixel] += c[:, None, t] * state + module.Ds.view(4, channels)[k] * u[:, :, t]
    return total.view_as(x)


def random_scan(channels: int) -> SelectiveScan2d:
    module = SelectiveScan2d(channels)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


@pytest.mark.parametrize("size", [(5, 7), (8, 8), (1, 6)])
def test_scan_of_a_map_is_the_sum_of_four(size: tuple[int, int]) -> None:
    module, x = random_scan(20).double(), torch.randn(2, 20, *size, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(module(x), scanned(module, x), rtol=1e-10, atol=1e-11)
        single = module.float()(x.float())
        torch.testing.assert_close(single.double(), module.double()(x), rtol=1e-4, atol=2e-5)


def rotated(x: Tensor) -> Tensor:
    """Complex numbers times e^(i position angle); x (B, H, W, heads, d)."""
    _, height, width, _, channels = x.shape
    quarter = channels // 4
    angle = 10000 ** -torch.linspace(0, 1, quarter).double() if quarter > 1 else torch.ones(1).double()
    numbers = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    rows = torch.arange(height)[:, None, None] * angle.repeat(2)[: 2 * quarter]
    columns = torch.arange(width)[:, None] * angle.repeat(2)[: 2 * quarter]
    by_row = torch.arange(2 * quarter) < quarter
    turn = torch.where(by_row, rows.expand(height, width, -1), columns.expand(height, width, -1))
    return torch.view_as_real(numbers * torch.polar(torch.ones_like(turn), turn)[None, :, :, None]).flatten(-2)


@pytest.mark.parametrize(("last", "size"), [(False, (9, 12)), (True, (7, 7)), (True, (4, 9))])
def test_mixer_is_what_a_second_reading_of_the_spec_gives(last: bool, size: tuple[int, int]) -> None:
    channels, heads, window = 24, 2, 5
    mixer: Any = randomise(TokenMixer(channels, heads, window, last)).double()
    with torch.no_grad():
        for bias in mixer.rpb:
            bias.normal_()
        x = torch.randn(2, channels, *size, dtype=torch.float64)
        qkv = F.conv2d(x, mixer.qkv.weight, mixer.qkv.bias)
        parts = qkv.view(2, 3, heads, channels // heads, *size).permute(1, 0, 4, 5, 2, 3)
        query, key, value = rotated(parts[0]) / math.sqrt(channels // heads), rotated(parts[1]), parts[2]
        near = by_definition(query, key, value, mixer.rpb[0], window)
        as_map = near.flatten(3).permute(0, 3, 1, 2)
        if last:
            pixels = size[0] * size[1]
            bias = mixer.rpb[1][None]
            if pixels != 49:
                bias = F.interpolate(bias, size=(pixels, pixels), mode="bicubic", align_corners=False)
            q, k, v = (y.flatten(1, 2).transpose(1, 2) for y in (query, key, near))
            far = torch.softmax(q @ k.transpose(2, 3) + bias, -1) @ v
            mixed = far.transpose(1, 2).reshape(2, *size, channels).permute(0, 3, 1, 2)
        else:
            mixed = mixer.norm(scanned(mixer.ssm, F.silu(mixer.dwconv(as_map)))) + as_map
        local = F.conv2d(qkv[:, -channels:], mixer.lepe.weight, mixer.lepe.bias, padding=2, groups=channels)
        expected = F.conv2d(mixed + local, mixer.proj.weight, mixer.proj.bias)
        angles = Rotary(channels // heads).double()(*size)
        torch.testing.assert_close(mixer(x, angles), expected, rtol=1e-6, atol=1e-6)  # the angles are single precision


def test_official_checkpoint_loads_with_its_classifier_dropped(tmp_path: Any) -> None:
    source = randomise(SegMAN((16, 32, 80, 64), (1, 1, 2, 1)))
    keys = set(source.state_dict())
    expected = {  # of the specification
        *("patch_embed.0.weight", "patch_embed.10.running_var", "layers.0.rope.angle", "layers.1.0.weight"),
        *("layers.2.blocks.0.token_mixer.ssm.x_proj_weight", "layers.2.blocks.0.token_mixer.ssm.A_logs"),
        *("layers.4.blocks.1.token_mixer.dwconv.0.weight", "layers.4.blocks.1.token_mixer.dwconv.1.running_mean"),
        *("layers.4.blocks.1.mlp.dwconv.bias", "layers.6.blocks.0.token_mixer.rpb.1", "layers.5.1.bias"),
        *("layers.0.blocks.0.cpe1.weight", "layers.0.blocks.0.token_mixer.norm.weight"),
        *("layers.0.blocks.0.token_mixer.rpb.0", "layers.0.blocks.0.token_mixer.lepe.bias"),
    }
    assert expected <= keys
    assert not [key for key in keys if "neighbours" in key or "recurrence" in key]
    state = {**source.state_dict(), "classifier.0.weight": torch.zeros(10, 64, 1, 1)}
    torch.save({"state_dict_ema": state, "state_dict": {}, "epoch": 3}, tmp_path / "segman.pth")
    target = SegMAN((16, 32, 80, 64), (1, 1, 2, 1))
    report = load_encoder_weights(target, "segman_t", str(tmp_path / "segman.pth"))
    assert report.dropped == ("classifier.0.weight",)
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in target.state_dict().items())


@pytest.mark.slow
def test_speed_beside_mscan_t() -> None:
    segman = SegMAN((32, 64, 144, 192), (2, 2, 4, 2))
    mscan = MSCAN((32, 64, 160, 256), (3, 3, 5, 2))

    def forward(model: torch.nn.Module) -> Any:
        with torch.inference_mode():
            return model.eval()(torch.zeros(1, 3, 512, 512))

    def step(model: torch.nn.Module) -> None:
        model.zero_grad()
        sum(feature.square().mean() for feature in model.train()(torch.zeros(1, 3, 256, 256))).backward()

    cpu = torch.device("cpu")
    found = {
        "forward, 512 x 512": (interleaved(lambda: forward(segman), lambda: forward(mscan), cpu, rounds=7), 8),
        "training step, 256 x 256": (interleaved(lambda: step(segman), lambda: step(mscan), cpu, rounds=7), 12),
    }
    for name, (timed, _) in found.items():
        spread = f"{timed.ratio.median:.2f} (quartiles {timed.ratio.lower:.2f} to {timed.ratio.upper:.2f})"
        seconds = f"{timed.a.median:.2f} s against {timed.b.median:.2f} s"
        print(f"{name}: {spread} times mscan_t, {seconds}, {torch.get_num_threads()} threads")
    assert all(timed.ratio.median < most for timed, most in found.values())
