import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scaseg.config import compose, run_config
from scaseg.errors import UserError
from scaseg.models.build import build_segmentor
from scaseg.models.decoders.scaseg import SCASegDecoder
from scaseg.models.layers.attention import heads_for
from scaseg.models.layers.channel_attention import CHANNEL_ATTENTIONS, EfficientChannelAttention
from scaseg.models.segmentor import Segmentor
from tests.models import decoder_reading as reading
from tests.models.peers import randomise

# ../shared/spec/scaseg.md: decoder and model at K = 150, model with the Cityscapes block at K = 19
COUNTS = {
    "mit_b0": (1_590_646, 4_910_038, 5_258_195),
    "mit_b1": (6_073_430, 19_224_854, 20_654_867),
    "mit_b2": (6_826_070, 31_022_358, 32_368_531),
    "mit_b3": (6_826_070, 50_898_198, 51_575_571),
    "mit_b4": (6_826_070, 67_668_758, 68_346_131),
    "mit_b5": (6_826_070, 88_269_078, 88_946_451),
    "mscan_t": (1_590_646, 5_494_230, 5_842_387),
    "mscan_s": (6_073_430, 19_523_606, 20_953_619),
    "mscan_b": (6_073_430, 32_351_254, 33_781_267),
}
CHANNELS = (8, 12, 20, 32)  # heads 1, 2, 5, 8
VARIANTS: list[dict[str, Any]] = [
    {},
    {"query_pool": 2},
    {"attn": "ca"},
    {"attn": "ca", "query_pool": 2},
    {"attn": "sa"},
    {"attn": "sa", "query_pool": 2},
    {"qk_channels": 2},
    {"qk_channels": 8},
    {"lpm": "none"},
    {"lpm": "cbam"},
    {"lpm": "eca"},
    {"lpm": "coord"},
    {"clb_stages": [4]},
    {"clb_stages": [4, 3], "query_pool": 2},
]
NAMES = ["-".join(f"{k}={v}" for k, v in variant.items()) or "published" for variant in VARIANTS]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def composed(*overrides: str, num_classes: int = 5) -> Segmentor:
    run = run_config(compose("train", overrides))
    return build_segmentor(run.backbone, run.decoder, num_classes)


def small(double: bool = True, **options: Any) -> Any:
    options = {"drop_path": 0.0, "embed_channels": 12, **options}
    decoder = SCASegDecoder(CHANNELS, 5, **options)
    return randomise(decoder.double() if double else decoder)


def features(height: int, width: int, batch: int = 2, channels: tuple[int, ...] = CHANNELS) -> list[Tensor]:
    return [
        torch.randn(batch, c, -(-height // s), -(-width // s), dtype=torch.float64)
        for c, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    decoder, model, city = COUNTS[name]
    with torch.device("meta"):
        plain = composed(f"backbone={name}", "dataset=ade20k", num_classes=150)
        cityscapes = composed(f"backbone={name}", "dataset=cityscapes", num_classes=19)
    assert (parameters(plain.decoder), parameters(plain), parameters(cityscapes)) == (decoder, model, city)


@pytest.mark.parametrize("options", VARIANTS, ids=NAMES)
@pytest.mark.parametrize("size", [(64, 96), (70, 41)])
def test_decoder_is_what_a_second_reading_of_the_spec_gives(options: dict[str, Any], size: tuple[int, int]) -> None:
    decoder, maps = small(**options), features(*size)
    expected = reading.logits(decoder, maps, options.get("clb_stages", (4, 3, 2, 1)))
    with torch.no_grad():
        torch.testing.assert_close(decoder(maps), expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", CHANNEL_ATTENTIONS)
def test_channel_attention_is_what_its_paper_says(name: str) -> None:
    module = randomise(CHANNEL_ATTENTIONS[name](24).double())
    x = torch.randn(2, 24, 7, 5, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(module(x), reading.channel_attention(module, x), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("channels", "size"), [(32, 3), (64, 3), (144, 5), (160, 5), (256, 5), (320, 5), (512, 5)])
def test_eca_kernel_grows_with_the_channels(channels: int, size: int) -> None:
    assert EfficientChannelAttention(channels).conv.kernel_size == (size,)


@settings(max_examples=15, deadline=None)
@given(st.integers(32, 200), st.integers(32, 200), st.sampled_from([1, 2]), st.integers(0, 99))
def test_forms_of_one_function_agree_at_any_size(height: int, width: int, pool: int, seed: int) -> None:
    torch.manual_seed(seed)
    decoder, maps = small(query_pool=pool), features(height, width, 1)
    with torch.no_grad():
        expected = decoder(maps)
        for options in ({"fuse": "literal"}, {"strip": "exact"}):
            other = small(query_pool=pool, **options)
            other.load_state_dict(decoder.state_dict())
            torch.testing.assert_close(other(maps), expected, rtol=1e-11, atol=1e-12)
    assert expected.shape == (1, 5, -(-height // 4), -(-width // 4))


@pytest.mark.parametrize("gain", [1.0, 6.0])
def test_linear_time_agrees_with_the_literal_form_to_float32(gain: float) -> None:
    fast, literal = small(double=False), small(double=True, fuse="literal", strip="exact")
    with torch.no_grad():
        for block in fast.blocks.values():
            block.attention.q.weight.mul_(gain)
        literal.load_state_dict(fast.state_dict())
        maps = features(512, 512, 1)  # 16,384 queries and 256 keys at stage 1: strip=auto takes the spline
        right = literal(maps)
        found = fast([x.float() for x in maps]).double()
    assert float((found - right).abs().max()) < 1e-5 * float(right.abs().max())


def test_encoder_that_rounds_sizes_down_is_brought_onto_its_coarsest_grid() -> None:
    maps = features(64, 96)
    maps[3] = maps[3][:, :, :1]  # strides 4, 8, 16 have 16, 8, 4 rows: 2 after pooling
    assert small()(maps).shape == (2, 5, 16, 24)
    assert small(query_pool=2)(maps).shape == (2, 5, 16, 24)


@given(st.integers(1, 2000), st.sampled_from([1, 2, 5, 8]))
def test_heads_divide_the_channels_and_are_as_many_as_allowed(channels: int, most: int) -> None:
    heads = heads_for(channels, most)
    assert channels % heads == 0
    assert not [h for h in (1, 2, 4, 5, 8) if heads < h <= most and channels % h == 0]


def test_stage_without_a_block_has_no_weights_and_passes_its_map_on() -> None:
    decoder = small(clb_stages=[4, 3])
    assert sorted(decoder.blocks) == sorted(decoder.gathers) == ["3", "4"]
    fused: list[Any] = []
    decoder.fuse.register_forward_pre_hook(lambda module, args: fused.extend(args[0]))
    maps = features(64, 64)
    decoder(maps)
    assert [ours is theirs for ours, theirs in zip(fused, maps, strict=True)] == [True, True, False, False]


@pytest.mark.parametrize("options", VARIANTS, ids=NAMES)
def test_gradients_reach_every_parameter(options: dict[str, Any]) -> None:
    decoder = small(dropout=0.0, **options).train()
    for name, parameter in decoder.named_parameters():  # no ReLU that is dead by chance
        if name.endswith(("lpm.depthwise.bias", "squeeze.weight")):
            parameter.data.abs_().add_(0.5)
    maps = [feature.requires_grad_() for feature in features(70, 100)]
    decoder(maps).square().mean().backward()
    lacking = [name for name, p in decoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert lacking == []
    assert all(feature.grad is not None and feature.grad.abs().sum() > 0 for feature in maps)


@pytest.mark.parametrize("options", [{}, {"query_pool": 2}, {"drop_path": 0.0}, {"lpm": "none"}], ids=str)
def test_training_writes_into_no_view(options: dict[str, Any]) -> None:
    """autograd would copy the view's gradient, and out of channels-last memory: half of the backward pass once."""
    decoder = SCASegDecoder(CHANNELS, 5, **options).train()
    maps = [
        torch.randn(2, c, 64 // s, 96 // s).contiguous(memory_format=torch.channels_last)
        for c, s in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]
    graph: set[Any] = set()
    waiting = [decoder([x.requires_grad_() for x in maps]).grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in graph:
            graph.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    assert len(graph) > 50
    assert "CopySlices" not in {type(node).__name__ for node in graph}


def test_training_drops_paths_and_channels_and_evaluation_does_not() -> None:
    decoder = SCASegDecoder(CHANNELS, 5, embed_channels=12, drop_path=0.5, dropout=0.5).double()
    maps = features(64, 64, 4)
    decoder.train()
    assert not torch.equal(decoder(maps), decoder(maps))
    decoder.eval()
    assert torch.equal(decoder(maps), decoder(maps))


def test_initial_weights_follow_the_spec() -> None:
    decoder = SCASegDecoder((64, 128, 320, 512), 150, drop_path=0.0)
    block: Any = decoder.blocks["4"]
    for layer, spread in (
        (block.attention.v, 0.02),
        (block.lpm.expand, math.sqrt(2 / 512)),
        (block.ffn.depthwise, math.sqrt(2 / 9)),
    ):
        assert layer.weight.detach().std().item() == pytest.approx(spread, rel=0.02)
    biases = [p for name, p in decoder.named_parameters() if name.endswith("bias")]
    assert biases
    assert not any(bias.any() for bias in biases)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("decoder.attn=self", r"decoder.attn=self: choose one of sa, ca, sca"),
        ("decoder.fuse=late", r"decoder.fuse=late: choose one of native, literal"),
        ("decoder.strip=fast", r"decoder.strip=fast: choose one of auto, exact"),
        ("decoder.lpm=se2", r"lpm='se2': choose one of se, cbam, eca, coord, none"),
        ("decoder.clb_stages=[3,4]", r"decoder.clb_stages=\[3, 4\]: a top-down prefix of \[4, 3, 2, 1\]"),
        ("decoder.clb_stages=[]", r"decoder.clb_stages=\[\]: a top-down prefix"),
        ("decoder.clb_stages=[4,2]", r"decoder.clb_stages=\[4, 2\]: a top-down prefix"),
        ("decoder.qk_channels=0", r"decoder.qk_channels=0: at least 1"),
        ("decoder.query_pool=0", r"decoder.query_pool=0: at least 1"),
        ("decoder.embed_channels=0", r"decoder.embed_channels=0: at least 1"),
        ("decoder.dropout=1.5", r"decoder .*dropout probability has to be between 0 and 1"),
        (
            "+decoder.depth=3",
            r"decoder: scaseg.*SCASegDecoder has no option depth; it has embed_.*clb_stages",
        ),
        ("decoder._target_=scaseg.models.decoders.none.N", r"decoder._target_=scaseg.models.decoders.none.N: no such"),
        (
            "decoder._target_=json.loads",
            r"decoder._target_=json.loads: json.loads is no class of this package's, .*allow=\[json\]",
        ),
    ],
)
def test_bad_options_are_named(override: str, message: str) -> None:
    with torch.device("meta"), pytest.raises(UserError, match=message):
        composed(override)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 100), st.integers(1, 100), st.sampled_from([1, 2]))
def test_model_takes_any_size(height: int, width: int, pool: int) -> None:
    model = tiny_model(pool)
    images = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    with torch.no_grad():
        logits = model(images)
        assert logits.shape == (1, 5, -(-height // 4), -(-width // 4))
        assert logits.isfinite().all()
        torch.testing.assert_close(model(images.float()), logits)
        assert model.predict(images).shape == (1, height, width)


def tiny_model(pool: int = 1) -> Segmentor:
    return composed(
        "backbone.channels=[8,16,40,32]",
        "backbone.depths=[1,1,1,1]",
        "backbone.drop_path=0",
        "decoder.drop_path=0",
        "decoder.embed_channels=16",
        f"decoder.query_pool={pool}",
    ).eval()


def test_normalisation_is_the_models_first_step() -> None:
    model = tiny_model()
    seen: list[Tensor] = []
    model.encoder.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    image = torch.tensor([124.0, 116.0, 104.0]).view(1, 3, 1, 1).expand(1, 3, 32, 64)
    model(image.to(torch.uint8))
    expected = [(124 - 123.675) / 58.395, (116 - 116.28) / 57.12, (104 - 103.53) / 57.375]
    torch.testing.assert_close(seen[0][0, :, 3, 5], torch.tensor(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k", "swin_tiny_patch4_window7_224", "pvt_v2_b0"])
def test_timm_backbones_train_through_the_configuration(name: str) -> None:
    model = composed("backbone=timm", f"backbone.name={name}").train()
    assert model.decoder.classifier.in_channels == 128
    images = torch.randint(0, 256, (2, 3, 65, 97), dtype=torch.uint8)
    logits = model(images)
    assert logits.shape == (2, 5, 17, 25)
    logits.square().mean().backward()
    assert all(p.grad is not None for p in model.decoder.parameters())
    heads = [model.decoder.blocks[str(i)].attention.heads for i in (1, 2, 3, 4)]
    assert heads == [heads_for(c, most) for c, most in zip(model.encoder.channels, (1, 2, 5, 8), strict=True)]
