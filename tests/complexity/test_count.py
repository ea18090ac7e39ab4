import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.complexity.count import Recorder, count
from scaseg.complexity.parts import decoder_part
from scaseg.models.segmentor import Segmentor
from tests.complexity.models import FourMaps, on_meta


class Sum(nn.Module):
    """The smallest decoder: a 1x1 classifier on the first map and a product of maps."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(2, 7, 1)
        self.mix = Mix()

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.classifier(maps[0]) + self.mix(maps[3]).sum()


class Mix(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2)
        return tokens @ tokens.transpose(1, 2)


def test_hand_count() -> None:
    counts = count(Segmentor(FourMaps(), Sum()), (64, 32))
    assert counts.parts == {
        "encoder stage 1": (3 * 2 * 16 * 16 * 8,) * 2,
        "encoder stage 2": (2 * 3 * 4 * 8 * 4,) * 2,
        "encoder stage 3": (3 * 4 * 4 * 4 * 2,) * 2,
        "encoder stage 4": (4 * 5 * 4 * 2 * 1,) * 2,
        "decoder head": (2 * 7 * 16 * 8,) * 2,
        "decoder mix products": (5 * 5 * 2 * 1,) * 2,
    }
    assert counts.macs == counts.macs_paper == sum(plain for plain, _ in counts.parts.values())
    assert not counts.unknown


@pytest.mark.parametrize("training", [True, False])
def test_model_is_left_as_it_was(training: bool) -> None:
    model = Segmentor(FourMaps(), Sum()).train(training)
    count(model, (64, 64))
    assert model.training is training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_operator_without_a_rule_is_named() -> None:
    class Fourier(Sum):
        def forward(self, maps: list[Tensor]) -> Tensor:
            return super().forward(maps) + torch.fft.fft2(maps[0]).real.sum()

    unknown = count(Segmentor(FourMaps(), Fourier()), (64, 64)).unknown
    assert list(unknown) == ["aten._fft_c2c.default"]


def test_custom_operator_is_named() -> None:
    @torch.library.custom_op("scaseg_test::scan", mutates_args=())
    def scan(x: Tensor) -> Tensor:
        return x.cumsum(0)

    recorder = Recorder()
    with torch.inference_mode(), recorder:
        scan(torch.ones(3))
    assert recorder.unknown == {"scaseg_test.scan.default": 1}


def test_module_that_knows_its_cost() -> None:
    class Window(Mix):
        def multiply_adds(self, x: Tensor) -> int:
            return 11 * x.numel()

    class Decoder(Sum):
        def __init__(self) -> None:
            super().__init__()
            self.mix = Window()

    parts = count(Segmentor(FourMaps(), Decoder()), (64, 64)).parts
    assert parts["decoder mix"] == (11 * 5 * 4,) * 2
    assert "decoder mix products" not in parts


def test_multihead_attention_is_counted_with_its_products() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.zeros(1, 5, 8)

    class Decoder(Sum):
        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, maps: list[Tensor]) -> Tensor:
            return super().forward(maps) + self.attention(x, x, x, need_weights=False)[0].sum()

    parts = count(Segmentor(FourMaps(), Decoder()), (64, 64)).parts
    assert sum(parts[p][0] for p in parts if "attention" in p) == 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8


def test_stage_boundaries_follow_the_data() -> None:
    """A stage is what its map needs and earlier maps don't, also where maps are copied at the end."""

    class Late(FourMaps):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [m.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).clone() for m in super().forward(x)]

    plain, late = (count(Segmentor(encoder, Sum()), (64, 64)).parts for encoder in (FourMaps(), Late()))
    assert plain == late


def test_products_of_the_strip_are_a_part_of_their_own() -> None:
    parts = count(on_meta("decoder.strip=exact", "decoder.fuse=literal"), (512, 512)).parts
    heads, queries, keys, width = (1, 2, 5, 8), (16384, 4096, 1024, 256), 256, 32
    for stage in (1, 2, 3, 4):
        expected = heads[stage - 1] * queries[stage - 1] * keys * (1 + width)
        assert parts[f"decoder stage {stage} attention products"] == (expected, expected)
    assert parts["decoder head"] == (16384 * 128 * 150,) * 2
    assert parts["decoder fuse"][0] == 16384 * 512 * 128
    assert not any(p.startswith("encoder stage 5") or p == "decoder itself" for p in parts)


def test_native_fuse_costs_what_its_docstring_says() -> None:
    fuse = count(on_meta(), (512, 512)).parts["decoder fuse"][0]
    assert fuse == 128 * (32 * 16384 + 64 * 4096 + 160 * 1024 + 256 * 256)


@pytest.mark.parametrize(
    ("path", "kind", "part"),
    [
        ("blocks.3.norm_memory", "norm", "decoder stage 3 attention projections"),
        ("blocks.3.attention.attention", "product", "decoder stage 3 attention products"),
        ("blocks.1.lpm.attention.squeeze", "linear", "decoder stage 1 LPM"),
        ("gathers.2.project.0", "convolution", "decoder stage 2 gather"),
        ("linear_fuse.conv", "convolution", "decoder linear_fuse"),
        ("", "resize", "decoder itself"),
    ],
)
def test_part_names(path: str, kind: str, part: str) -> None:
    assert decoder_part(path, kind) == part


def test_training_graph_is_not_needed() -> None:
    """Counting sees whole operators, so nothing is found twice in what a kernel is made of."""
    recorder = Recorder()
    layer = nn.Linear(3, 4)
    with torch.inference_mode(), recorder:
        F.layer_norm(layer(torch.zeros(2, 3)), (4,))
    assert [(o.kind, o.macs) for o in recorder.operations] == [("linear", 24), ("norm", 0)]
